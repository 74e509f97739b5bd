//! Services that have no usable credential yet, for a command that needs them.

use std::time::Duration;

use tokio::time::Instant;

use super::app::App;
use crate::config::Readiness;
use crate::refresh::AnyStore;
use crate::runtime::service::Service;

/// Time between two looks at the credentials.
const INTERVAL: Duration = Duration::from_millis(20);

/// A service without a usable credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCredential {
    /// The name of the service.
    pub service: String,
    /// Why it has none; contains no secret.
    pub cause: String,
}

/// What is known about a credential.
enum Credential {
    Usable,
    Expected(String),
    /// It is not expected without a change of the configuration or of the provider.
    Refused(String),
}

impl App {
    /// Waits until every service that readiness depends on has a usable credential. Returns those that have none after `limit`, or as
    /// soon as one was refused.
    pub async fn missing_credentials(&self, limit: Duration) -> Vec<MissingCredential> {
        let deadline = Instant::now() + limit;
        loop {
            let snapshot = self.runtime.current();
            let (mut missing, mut is_refused) = (Vec::new(), false);
            for service in snapshot.services.iter().filter(|service| service.readiness != Readiness::Never) {
                let cause = match credential(service) {
                    Credential::Usable => continue,
                    Credential::Expected(cause) => cause,
                    Credential::Refused(cause) => {
                        is_refused = true;
                        cause
                    }
                };
                missing.push(MissingCredential { service: service.name.clone(), cause });
            }
            if missing.is_empty() || is_refused || Instant::now() >= deadline {
                return missing;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

fn credential(service: &Service) -> Credential {
    if service.credential.is_ready() {
        return Credential::Usable;
    }
    let status = service.credential.store().map(AnyStore::status);
    let in_flight = status.as_ref().is_some_and(|status| status.in_flight);
    match status.and_then(|status| status.last_error) {
        Some(error) if error.kind.needs_intervention() && !in_flight => Credential::Refused(error.message),
        Some(error) => Credential::Expected(error.message),
        None => Credential::Expected("the token endpoint has not answered yet".into()),
    }
}
