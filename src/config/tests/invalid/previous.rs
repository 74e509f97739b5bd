//! Invalid files: the secret before a rotation. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("previous secrets with invalid characters", "
services:
  crm: { upstream: https://a.example, auth: { type: basic, username: a, password: { env: SECRET }, previous: '' } }
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET }, previous: Bearer CANARY } }
  maps: { upstream: https://a.example, auth: { type: api_key, in: cookie, name: k, value: { env: SECRET }, previous: 'CANARY;' } }
  wiki: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET }, previous: { env: TWO_LINES } } }
"),
    ("previous secret without the current one", "
services:
  mail: { upstream: https://a.example, auth: { type: bearer, previous: { env: SECRET } } }
"),
    ("previous secret without retries", "
services:
  mail:
    upstream: https://a.example
    retry_on_401: false
    auth: { type: bearer, token: { env: SECRET }, previous: { env: COLON } }
"),
    ("previous secret of oauth2", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://a.example/token
      client_id: a
      client_secret: { env: SECRET }
      previous: { env: COLON }
"),
];
