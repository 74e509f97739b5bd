//! The process that runs with a configuration, by its admin address.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::admin_client::AdminRequest;
use super::config_arg::{ConfigArg, usable};
use crate::config::Config;
use crate::secret::SecretCache;

/// Maximum size of a response in bytes.
const MAX_RESPONSE_SIZE: u64 = 16 * 1024 * 1024;

/// A running Sidekey.
pub(super) struct Running {
    config: Config,
}

impl Running {
    /// The process that runs with this configuration. Secrets that cannot be read here are not needed for it, except
    /// `admin.token`.
    pub(super) fn of(config: &ConfigArg) -> Result<Self, ExitCode> {
        Ok(Self { config: usable(&config.config, &SecretCache::lenient())? })
    }

    /// The services of the configuration.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        let inactive = self.config.inactive.iter().map(|service| service.name.as_str());
        self.config.services.iter().map(|service| service.name.as_str()).chain(inactive)
    }

    /// Reads a resource of the admin API.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        self.send(path, None, Duration::from_secs(10))
    }

    /// Requests an action of the admin API.
    pub(super) fn post(&self, path: &str) -> Result<Value, String> {
        self.send(path, Some("{}"), Duration::from_secs(60))
    }

    fn send(&self, path: &str, json: Option<&str>, timeout: Duration) -> Result<Value, String> {
        let admin = &self.config.admin;
        let request = AdminRequest {
            path,
            json,
            token: admin.token.as_ref(),
            timeout,
            max_response: MAX_RESPONSE_SIZE,
        };
        let answer = request
            .send(&admin.listen)
            .map_err(|error| format!("no Sidekey answers at {} (`admin.listen`): {error}", admin.listen))?;
        let body: Value = serde_json::from_str(&answer.body)
            .map_err(|_| format!("what answers at {} is no Sidekey of this version", admin.listen))?;
        match answer.status {
            200 => Ok(body),
            401 | 403 => Err(format!(
                "the Sidekey at {} does not allow it: `admin.token` is not set, or cannot be read here",
                admin.listen
            )),
            status => {
                let detail = body["detail"].as_str().unwrap_or("it says no more");
                Err(format!("the Sidekey at {} answered {status}: {detail}", admin.listen))
            }
        }
    }
}
