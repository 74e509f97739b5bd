//! Constant load: callers that send one request after the other, each on its own connection, and record every
//! response that is not a 200.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinHandle;

use super::{Connection, assert_eventually};

/// Load that continues until it is stopped.
pub struct Load {
    callers: Vec<JoinHandle<Vec<String>>>,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// Results of all requests.
#[derive(Debug)]
pub struct Outcome {
    pub answered: usize,
    /// Descriptions of the results that were not a 200.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts one caller, with one connection, for each path.
    pub fn start(address: SocketAddr, paths: &[&str]) -> Self {
        let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let caller = |path: &&str| {
            tokio::spawn(call(
                address,
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                answered.clone(),
                stop.clone(),
            ))
        };
        Self { callers: paths.iter().map(caller).collect(), answered, stop }
    }

    /// Waits until `count` more requests have succeeded.
    pub async fn answers(&self, count: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + count;
        let answered = async || self.answered.load(Ordering::Relaxed) >= enough;
        assert_eventually(std::time::Duration::from_secs(30), "requests are answered", answered).await;
    }

    /// Stops after the pending request of each caller.
    pub async fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        Outcome { answered: self.answered.load(Ordering::Relaxed), failures }
    }
}

async fn call(
    address: SocketAddr,
    request: String,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) && failures.len() < 10 {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::try_open(address).await {
                Ok(open) => open,
                Err(error) => {
                    failures.push(format!("no connection: {error}"));
                    continue;
                }
            },
        };
        let response = match open.try_send(&request).await {
            Ok(()) => open.response_to("GET").await,
            Err(error) => Err(error),
        };
        match response {
            Ok(response) if response.status == 200 && response.complete => {
                answered.fetch_add(1, Ordering::Relaxed);
                let is_last =
                    response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                connection = (!is_last).then_some(open);
            }
            Ok(response) => failures.push(format!("{} {}", response.start_line, response.text())),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}
