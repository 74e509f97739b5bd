//! Invalid files: client authentication and token requests. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("keys of another method", "
credentials:
  post: &oauth2
    type: oauth2
    grant_type: client_credentials
    token_url: https://login.example/token
    client_id: me
    client_secret: { env: SECRET }
    auth_method: client_secret_post
    basic_auth_encoding: raw
  no-method: { <<: *oauth2, auth_method: client_secret_basic, private_key: CANARY, signing_alg: RS256, key_id: k }
  no-key: { <<: *oauth2, auth_method: private_key_jwt }
  nobody: { <<: *oauth2, auth_method: none }
services:
  a: { upstream: https://a.example, auth: { use: post } }
"),
    ("private keys that cannot sign", "
credentials:
  no-pem: &oauth2
    type: oauth2
    grant_type: client_credentials
    token_url: https://login.example/token
    client_id: me
    auth_method: private_key_jwt
    private_key: { env: SECRET }
  missing: { <<: *oauth2, private_key: { file: /nonexistent/key.pem } }
  another-kind: { <<: *oauth2, private_key: { file: ./src/config/tests/fixtures/ed25519.pem }, signing_alg: RS256 }
  shared: { <<: *oauth2, private_key: { file: ./src/config/tests/fixtures/ed25519.pem }, signing_alg: HS256 }
  certificate: { <<: *oauth2, private_key: { file: ./src/config/tests/fixtures/ed25519.pem }, assertion_certificate: /nonexistent.pem }
services:
  a: { upstream: https://a.example, auth: { use: no-pem } }
"),
    ("foreign assertions", "
credentials:
  missing: &oauth2
    type: oauth2
    grant_type: client_credentials
    token_url: https://login.example/token
    client_id: me
    auth_method: client_assertion
  file: { <<: *oauth2, client_assertion: { file: /nonexistent/token }, client_assertion_type: CANARY }
  secret: { <<: *oauth2, client_assertion: { env: SECRET }, client_secret: CANARY, key_id: k }
  another: { <<: *oauth2, auth_method: private_key_jwt, client_assertion: { env: SECRET } }
services:
  a: { upstream: https://a.example, auth: { use: missing } }
"),
    ("invalid token request settings", "
services:
  crm:
    upstream: https://crm.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example/token
      client_id: me
      client_secret: { env: SECRET }
      token_request:
        params: { client_assertion: CANARY }
        format: xml
        headers: { Content-Length: \"3\", \"not a name\": CANARY, X-Lines: { env: TWO_LINES }, X-Accent: CANARYé }
      scope_separator: and
      proxy: { url: https://proxy.example:3128, username: me }
"),
    ("types of tokens", "
credentials:
  bound: &oauth2
    type: oauth2
    grant_type: client_credentials
    token_url: https://login.example/token
    client_id: me
    client_secret: { env: SECRET }
    accept_token_type: DPoP
  proofs: { <<: *oauth2, dpop: true, accept_token_type: bot }
  empty: { <<: *oauth2, accept_token_type: '' }
services:
  a: { upstream: https://a.example, auth: { use: bound } }
"),
    ("an empty secret that has to be a key", "
services:
  crm:
    upstream: https://crm.example
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://login.example/token, client_id: me,
      auth_method: client_secret_jwt, client_secret: '' }
"),
    ("a proxy with its password in the URL", "
services:
  crm:
    upstream: https://crm.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example/token
      client_id: me
      client_secret: { env: SECRET }
      proxy: { url: \"http://me:CANARY@proxy.example:3128\" }
"),
    ("client certificate missing", "
credentials:
  none: &oauth2
    type: oauth2
    grant_type: client_credentials
    token_url: https://login.example/token
    client_id: me
    auth_method: tls_client_auth
  half: { <<: *oauth2, auth_method: self_signed_tls_client_auth, tls: { cert_file: ./src/config/tests/fixtures/two-lines.txt } }
  plain: { <<: *oauth2, token_url: 'http://127.0.0.1/token' }
services:
  a: { upstream: https://a.example, auth: { use: none } }
"),
];
