//! Whether the workers work: what the watchdog of a service manager is told.

use super::app::App;
use super::worker::Worker;

impl App {
    /// Waits until the event loop of every worker has turned. Returns false if one has ended, and never returns if one is stuck.
    pub async fn workers_respond(&self) -> bool {
        let turns: Vec<_> = self.state.lock().workers.iter().map(Worker::turn).collect();
        for turn in turns {
            if turn.await.is_err() {
                return false;
            }
        }
        true
    }
}
