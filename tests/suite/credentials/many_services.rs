//! A configuration with a hundred services of all kinds.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::harness::{MockTokenEndpoint, MockUpstream, RecordedRequest, Sidekey};

const COUNT: usize = 100;

/// `auth` of service `number`: basic, bearer, an API key in each location, then OAuth2.
fn auth(number: usize, token_url: &str) -> String {
    match number % 6 {
        0 => {
            format!("{{ type: basic, username: user-{number}, password: {{ file: $DIR/secret-{number} }} }}")
        }
        1 => format!("{{ type: bearer, token: {{ env: SECRET_{number} }} }}"),
        2 => format!("{{ type: api_key, in: header, name: X-Key-{number}, value: s-{number} }}"),
        3 => format!("{{ type: api_key, in: query, name: key, value: s-{number} }}"),
        4 => format!("{{ type: api_key, in: cookie, name: key, value: s-{number} }}"),
        _ => format!(
            "{{ type: oauth2, grant_type: client_credentials, token_url: '{token_url}', \
             client_id: client-{number}, client_secret: s-{number} }}"
        ),
    }
}

/// Whether the request carries the credential of service `number`.
fn carries(request: &RecordedRequest, number: usize, login: &MockTokenEndpoint) -> bool {
    let authorization = request.header("authorization");
    match number % 6 {
        0 => authorization.is_some_and(|value| value.starts_with("Basic ")),
        1 => authorization == Some(&format!("Bearer s-{number}")),
        2 => request.header(&format!("x-key-{number}")) == Some(&format!("s-{number}")),
        3 => request.query() == Some(&format!("key=s-{number}")),
        4 => request.header("cookie") == Some(&format!("key=s-{number}")),
        _ => authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| login.is_live(token)),
    }
}

#[tokio::test]
async fn hundred_services_each_get_their_own_credential() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let mut services = String::new();
    for number in 0..COUNT {
        let (url, auth) = (upstream.url(), auth(number, &login.url()));
        writeln!(services, "service-{number}: {{ upstream: '{url}/base-{number}', auth: {auth} }}").unwrap();
    }
    let mut sidekey = Sidekey::serving(&services);
    for number in 0..COUNT {
        let secret = format!("s-{number}");
        sidekey = match number % 6 {
            0 => sidekey.file(&format!("secret-{number}"), &secret),
            _ => sidekey.env(&format!("SECRET_{number}"), &secret),
        };
    }
    let sidekey = sidekey.start_ready().await;

    for number in 0..COUNT {
        assert_eq!(sidekey.get(&format!("/service-{number}/x")).await.status, 200, "service-{number}");
        let request = upstream.last_request();
        assert_eq!(request.path(), format!("/base-{number}/x"));
        assert!(carries(&request, number, &login), "service-{number}: {:?}", request.headers);
    }
    let clients: HashSet<_> = login.requests().into_iter().map(|request| request.basic().unwrap()).collect();
    let expected = (0..COUNT).filter(|number| number % 6 == 5).count();
    assert_eq!(
        (clients.len(), login.request_count()),
        (expected, expected),
        "one token request for each client"
    );
}
