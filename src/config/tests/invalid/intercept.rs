//! Broken files: interception and tunnels. Every secret has CANARY in it.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "files that are not there, and parts that are missing",
        "
intercept: { ca_cert: /nonexistent/ca.crt, ca_key: /nonexistent/ca.key }
unmatched: allow
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "files that are something else",
        "
intercept: { ca_cert: /dev/null, ca_key: /dev/null }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "a tunnel that nothing leads through",
        "
intercept: { ca_cert: /nonexistent/ca.crt }
tunnel: { idle: 5, connect: 0s, alow_local: true }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
];
