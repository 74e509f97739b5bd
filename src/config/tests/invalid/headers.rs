//! Invalid files: headers of token requests and of exports. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[(
    "headers that cannot be removed",
    "
services:
  a:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    headers: { remove: [Host, content_length, Transfer-Encoding, TE, Proxy-Authorization, 'a b', '', X-Fine, Authorization] }
  b: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, headers: { remove: [] } }
  c: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, headers: { add: { X-A: b } } }
  d: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, headers: Authorization }
",
), (
    "values cut at a comma",
    "
tracing: { otlp_endpoint: 'https://otel.example', headers: { authorization: Api-Key CANARY,CANARY } }
services:
  a:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example.com/token
      client_id: a
      client_secret: { env: SECRET }
      token_request: { headers: { x-key: CANARY,CANARY, x-other: CANARY,CANARY:CANARY } }
",
), (
    "leak guard of another word", "
services:
  mail: { upstream: https://a.example, leak_guard: bodies, auth: { type: bearer, token: CANARY-12345678 } }
  crm: { upstream: https://a.example, leak_guard: true, auth: { type: bearer, token: CANARY-12345678 } }
",
)];
