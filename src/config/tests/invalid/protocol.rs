//! Invalid files: `protocol`. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[(
    "protocol",
    "
services:
  a: { upstream: https://a.example, protocol: h2, auth: { type: bearer, token: { env: SECRET } } }
  b: { upstream: https://a.example, protocol: HTTP2, auth: { type: bearer, token: { env: SECRET } } }
  c: { upstream: https://a.example, protocol: [http2], auth: { type: bearer, token: { env: SECRET } } }
  d: { upstream: https://a.example, protocol: 2, auth: { type: bearer, token: { env: SECRET } } }
",
)];
