//! What tests of OAuth2 services begin with.

use std::time::Duration;

use crate::harness::{Response, TokenEndpoint, Upstream};

/// Nothing that these tests wait for takes this long unless something hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One service in front of this upstream, with a token from this endpoint. `auth` and `more` are further keys of the
/// credential and of the service, each with a comma after it.
pub fn service(name: &str, upstream: &Upstream, endpoint: &TokenEndpoint, auth: &str, more: &str) -> String {
    format!(
        "{name}: {{ {more} upstream: '{}', auth: {{ {auth} type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: me, client_secret: s3cret }} }}\n",
        upstream.url(),
        endpoint.url(),
    )
}

/// Seconds in the `Retry-After` of Sidekey's own «no credential».
#[track_caller]
pub fn no_credential(response: &Response) -> u64 {
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(response.sidekey_error(), Some("credential_unavailable"));
    let seconds = response.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(seconds >= 1);
    seconds
}
