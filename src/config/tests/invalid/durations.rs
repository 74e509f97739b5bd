//! Invalid files: durations. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[(
    "durations",
    "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    token_wait: 5
    timeouts: { connect: 0s, first_byte: 1.5s, idle: 5 min, total: 31d }
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    token_wait: \"5\"
    timeouts: { connect: -5s, first_byte: 30m1h, idle: 721h, total: \"\" }
",
)];
