//! Invalid files: OAuth2 grants and their keys. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("a grant without its own keys", "
services:
  password: { upstream: https://a.example, auth: { type: oauth2, grant_type: password, token_url: https://a.example/t, client_id: a } }
  refresh: { upstream: https://a.example, auth: { type: oauth2, grant_type: refresh_token, token_url: https://a.example/t, client_id: a } }
  exchange: { upstream: https://a.example, auth: { type: oauth2, grant_type: token_exchange, token_url: https://a.example/t } }
"),
    ("keys of another grant", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://a.example/token
      client_id: crm
      client_secret: { env: SECRET }
      username: CANARY
      refresh_token: CANARY
"),
    ("an unknown grant with keys of its own", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: passwort
      token_url: https://a.example/token
      client_id: crm
      client_secret: { env: SECRET }
      username: CANARY
      password: CANARY
"),
    ("clients without a secret", "
services:
  unproven:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://a.example/token, client_id: crm }
  public:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://a.example/token, client_id: crm, auth_method: none }
  both:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: password, token_url: https://a.example/token, client_id: crm, auth_method: none, client_secret: CANARY, username: u, password: { env: SECRET } }
  post:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: password, token_url: https://a.example/token, client_id: crm, auth_method: client_secret_post, username: u, password: { env: SECRET } }
"),
    ("password grant", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: password
      token_url: https://a.example/token
      username: \"\"
      password: { file: /nonexistent/password }
      token_request: { params: { password: CANARY, username: a, refresh_token: CANARY } }
"),
    ("grants with a user login", "
services:
  bare: { upstream: https://a.example, auth: { type: oauth2, grant_type: authorization_code, token_url: https://a.example/t } }
  device: { upstream: https://a.example, auth: { type: oauth2, grant_type: device_code, token_url: https://a.example/t, client_id: a } }
  device-of-issuer: { upstream: https://a.example, auth: { type: oauth2, grant_type: device_code, issuer: https://a.example, client_id: a,
    device_authorization_url: http://a.example/CANARY } }
  code:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: authorization_code
      token_url: https://a.example/token
      client_id: crm
      authorization_url: http://a.example/CANARY
      redirect_uri: http://a.example/CANARY
      authorization_params: { state: CANARY, code_challenge: CANARY, prompt: 7, response_type: token }
      token_request: { params: { code_verifier: CANARY } }
  plain:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: device_code
      token_url: https://a.example/token
      client_id: crm
      device_authorization_url: http://a.example/CANARY
      redirect_uri: http://127.0.0.1:1/x
"),
    ("signed grants", "
services:
  bare: { upstream: https://a.example, auth: { type: oauth2, grant_type: jwt_bearer, token_url: https://a.example/t } }
  values:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: jwt_bearer
      token_url: https://a.example/token
      client_id: crm
      private_key: CANARY
      signing_alg: HS256
      claims: { sub: a, exp: 7, level: 1.5, deep: { list: [1.5] } }
      assertion_headers: { alg: none, kid: CANARY }
      assertion_lifetime: 2h
      token_request: { params: { assertion: CANARY } }
  account:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: jwt_bearer, token_url: https://a.example/token, service_account_file: /nonexistent/a.json }
  no-account:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: jwt_bearer, token_url: https://a.example/token, service_account_file: ./src/config/tests/fixtures/empty.txt }
  both:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: jwt_bearer, token_url: https://a.example/token, service_account_file: ./src/config/tests/fixtures/empty.txt, private_key: CANARY }
"),
    ("token exchange", "
services:
  cloud:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: token_exchange
      token_url: https://a.example/token
      subject_token: { file: /nonexistent/token }
      subject_token_type: JWT
      actor_token_type: jwt
      requested_token_type: an access token
      audience: []
      resource: [\"\"]
"),
    ("token of the caller", "
services:
  from:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: token_exchange
      token_url: https://a.example/token
      subject_token: { from: callers }
      actor_token: { from: caller }
      caller_tokens: { max_entries: 0, max_requests: 101, max: 1 }
  both:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: token_exchange
      token_url: https://a.example/token
      subject_token: { from: caller, file: /nonexistent/token }
      dpop: true
  unused:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: token_exchange
      token_url: https://a.example/token
      subject_token: CANARY
      caller_tokens: { max_entries: 10 }
  assertion:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: jwt_bearer
      token_url: https://a.example/token
      assertion: { from: caller }
      private_key: CANARY
      claims: { sub: a }
      assertion_lifetime: 1m
  text:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: jwt_bearer
      token_url: https://a.example/token
      assertion: CANARY
"),
];
