//! `Debug` of every public type that holds a secret.

use std::fmt::Write as _;

use sidekey::config::{ClientAuth, Config, OAuth2};
use sidekey::secret::{Plain, Secret, SecretText, Source};
use zeroize::Zeroizing;

use super::{Canary, assert_none_in};

#[test]
fn debug_of_public_types_contains_no_secret() {
    let secret = Canary::new("a secret");
    let value = &secret.value;
    let config = format!(
        "services:
  a: {{ upstream: https://x, auth: {{ type: basic, username: me, password: '{value}' }} }}
  b: {{ upstream: https://x, auth: {{ type: bearer, token: '{value}' }} }}
  c: {{ upstream: https://x, auth: {{ type: api_key, in: query, name: k, value: '{value}' }} }}
  d: {{ upstream: https://x, auth: {{ type: oauth2, grant_type: client_credentials, token_url: 'https://x?k={}',
         client_id: me, client_secret: '{value}', token_request: {{ params: {{ k: '{value}' }} }} }} }}
  e: {{ upstream: https://x, auth: {{ type: oauth2, grant_type: client_credentials, token_url: 'https://x',
         client_id: me, client_secret: '{value}', auth_method: client_secret_post }} }}
  f: {{ upstream: https://x, auth: {{ type: oauth2, grant_type: client_credentials, token_url: 'https://x',
         client_id: me, client_secret: '{value}', auth_method: client_secret_jwt,
         token_request: {{ headers: {{ X-Key: '{value}' }} }}, proxy: {{ url: 'http://p', username: u, password: '{value}' }} }} }}
",
        form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>()
    );
    let config = Config::parse(&config, "services.yaml", sidekey::credential::READERS).unwrap();
    let mut printed = format!("{config:?}{config:#?}");
    for service in &config.services {
        write!(printed, "{service:?}{:?}", service.auth).unwrap();
        if let Some(oauth2) = service.auth.settings::<OAuth2>() {
            let held = match &oauth2.client_auth {
                ClientAuth::SecretBasic { secret, .. }
                | ClientAuth::SecretPost { secret }
                | ClientAuth::SecretJwt { secret, .. } => secret,
                other => panic!("{other:?} contains no secret"),
            };
            assert!(secret.is_in(held.expose()), "it does contain the secret");
            write!(printed, "{oauth2:?}{:?}{held:?}", oauth2.client_auth).unwrap();
        }
    }
    let own = Secret::new(value.clone()).unwrap();
    let source = Source::new(Plain(SecretText::verbatim(Zeroizing::new(value.clone()))));
    write!(printed, "{own:?}{:?}{source:?}{source}{:?}", Some(&own), source.secret()).unwrap();
    assert_none_in("Debug", &printed, [&secret]);
}
