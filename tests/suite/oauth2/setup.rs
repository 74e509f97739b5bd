//! Shared set-up of the tests of OAuth2 services.

use crate::harness::{MockTokenEndpoint, MockUpstream, Response};

/// The configuration of one service with this upstream and token endpoint. `auth` and `more` are further keys
/// of the credential and of the service, each with a comma after it.
pub fn service(
    name: &str,
    upstream: &MockUpstream,
    endpoint: &MockTokenEndpoint,
    auth: &str,
    more: &str,
) -> String {
    format!(
        "{name}: {{ {more} upstream: '{}', auth: {{ {auth} type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: me, client_secret: s3cret }} }}\n",
        upstream.url(),
        endpoint.url(),
    )
}

/// Asserts that the response is Sidekey's `credential_unavailable`; returns the seconds in its `Retry-After`.
#[track_caller]
pub fn no_credential(response: &Response) -> u64 {
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(response.sidekey_error(), Some("credential_unavailable"));
    let seconds = response.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(seconds >= 1);
    seconds
}
