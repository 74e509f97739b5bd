//! What a change needs of the program.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::diagnose::TestReport;
use crate::manage::Manager;

/// Tests a service of a configuration that is not in use. Blocks.
pub trait DraftTester: Send + Sync + 'static {
    /// The outcome, or why there is none.
    fn test(&self, config: &Config, service: &str, path: &str) -> Result<TestReport, String>;
}

/// What a change needs of the program: one that was started from a file.
pub struct Managing {
    pub(in crate::admin) manager: Manager,
    pub(super) tester: Box<dyn DraftTester>,
    /// One change at a time, dry or not.
    busy: Arc<Semaphore>,
}

impl Managing {
    /// Changes of the configuration of a manager.
    pub fn new(manager: Manager, tester: Box<dyn DraftTester>) -> Self {
        Self { manager, tester, busy: Arc::new(Semaphore::new(1)) }
    }

    /// The permit to make a change; `None` while another one is made.
    pub(super) fn begin(&self) -> Option<OwnedSemaphorePermit> {
        self.busy.clone().try_acquire_owned().ok()
    }
}
