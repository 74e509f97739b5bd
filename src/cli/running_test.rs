//! `sidekey test` by the process that runs: for a service whose refresh token is kept in `state.dir`, because a test of its own
//! would spend that token.

use std::time::Duration;

use serde_json::{Value, json};

use super::admin_client::{AdminRequest, AdminResponse};
use crate::config::{Config, ListenAddress, OAuth2, ServiceConfig};
use crate::credential;
use crate::diagnose::TestReport;

/// Limit on the test in the running process: it waits for a token, and then for the upstream.
const TEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Limit on the other request.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum size of a response in bytes.
const MAX_RESPONSE_SIZE: u64 = 1024 * 1024;

/// The outcome of asking for a test.
pub(super) enum RunningTest {
    /// The running process has made it.
    Made(Box<TestReport>),
    /// A process with this service runs, and did not make the test, for this reason.
    Declined(String),
    /// The test needs no running process, or none with this service answers.
    None,
}

/// Has the running process test the service, if its refresh token is kept and a process with the same service runs.
pub(super) fn test_by_running_process(config: &Config, service: &ServiceConfig, path: &str) -> RunningTest {
    let mut oauth2 = service.auth.all_settings::<OAuth2>();
    if config.state.is_none() || !oauth2.any(|oauth2| oauth2.grant.keeps_refresh_token()) {
        return RunningTest::None;
    }
    let resource = format!("/api/v1/services/{}", service.name);
    let request = |path: &str, json: Option<&str>, timeout| {
        let token = config.admin.token.as_ref();
        let max_response = MAX_RESPONSE_SIZE;
        AdminRequest { path, json, token, timeout, max_response }.send(&config.admin.listen)
    };
    let Ok(seen) = request(&resource, None, LOOK_TIMEOUT) else { return RunningTest::None };
    if !is_same_service(&seen, service) {
        return RunningTest::None;
    }
    let json = json!({ "path": path }).to_string();
    match request(&format!("{resource}/test"), Some(&json), TEST_TIMEOUT) {
        Ok(AdminResponse { status: 200, body }) => match serde_json::from_str(&body) {
            Ok(report) => RunningTest::Made(Box::new(report)),
            Err(_) => RunningTest::Declined("its answer is of another version".into()),
        },
        Ok(AdminResponse { status: 401 | 403, .. }) => {
            RunningTest::Declined("it allows no tests there; `admin: { token: … }` allows them".into())
        }
        Ok(AdminResponse { status, .. }) => RunningTest::Declined(format!("it answered {status}")),
        Err(error) => RunningTest::Declined(error.to_string()),
    }
}

/// The address of the running process, for messages.
pub(super) fn admin_address(config: &Config) -> &ListenAddress {
    &config.admin.listen
}

/// Whether a running process has this very service: the name alone could be that of another configuration.
fn is_same_service(seen: &AdminResponse, service: &ServiceConfig) -> bool {
    let Ok(view) = serde_json::from_str::<Value>(&seen.body) else { return false };
    seen.status == 200
        && view["name"] == service.name.as_str()
        && view["kind"] == service.auth.kinds()
        && view["upstream"] == service.upstream.to_string()
        && view["token"]["endpoint"].as_str() == credential::value_server(&service.auth).as_deref()
}
