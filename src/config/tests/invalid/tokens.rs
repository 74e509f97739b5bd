//! `type: jwt`, and where tokens go.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("no key, or two", "
services:
  none: { upstream: https://a.example, auth: { type: jwt, claims: { iss: a } } }
  two: { upstream: https://a.example, auth: { type: jwt, secret: CANARY, private_key: CANARY } }
"),
    ("values of jwt", "
services:
  a:
    upstream: https://a.example
    auth:
      type: jwt
      secret: CANARY-of-a-secret
      signing_alg: RS256
      claims: { iat: 1, exp: 2, iss: CANARY }
      headers: { alg: none, kid: CANARY }
      lifetime: 25h
      expiry_claim: CANARY
      issued_at_backdate: 6m
      reuse: { min: 50m, max: 1h, often: 1 }
  b:
    upstream: https://b.example
    auth: { type: jwt, secret: CANARY, lifetime: 1m, issued_at_backdate: 1m, reuse: { max: 1500ms } }
  c:
    upstream: https://c.example
    auth: { type: jwt, secret: CANARY, claims: { iss: 'A.{public_key_sha256}' } }
"),
    ("values of github_app", "
services:
  a:
    upstream: https://a.example
    auth:
      type: github_app
      app_id: my app
      private_key: CANARY
      installation_id: 1
      owner: acme
      repositories: [acme/site, .., 'a?b']
      permissions: { contents: CANARY }
      api_url: http://github.example/api/v3
      tls: { server_name: x.example }
  b: { upstream: https://b.example, auth: { type: github_app, app_id: 1, private_key: CANARY, repository: acme } }
"),
    ("places of tokens", "
services:
  a: { upstream: https://a.example, auth: { type: jwt, secret: CANARY, token: { name: Host, prefix: ' x' } } }
  b: { upstream: https://b.example, auth: { type: jwt, secret: CANARY, token: { in: body, name: t } } }
  c: { upstream: https://c.example, auth: { type: jwt, secret: CANARY, token: { in: cookie, prefix: 'a b' } } }
  d:
    upstream: https://d.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://d.example/token
      client_id: d
      client_secret: CANARY
      dpop: true
      token: { name: X-Token, place: header }
"),
    ("fields of tokens", "
credentials:
  empty: &oauth2
    type: oauth2
    grant_type: client_credentials
    token_url: https://login.example/token
    client_id: me
    client_secret: CANARY
    token: { field: '' }
  pointer: { <<: *oauth2, token: { field: /a~b } }
  steps: { <<: *oauth2, token: { field: /a/b/c/d/e/f/g/h/i } }
  half: { <<: *oauth2, token: { field: /a, in: query } }
  unplaced: { <<: *oauth2, token: {} }
services:
  a: { upstream: https://a.example, auth: { use: empty } }
  j: { upstream: https://j.example, auth: { type: jwt, secret: CANARY, token: { field: id_token } } }
"),
];
