//! Broken files: interception and tunnels. Every secret has CANARY in it.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "files that are not there, and parts that are missing",
        "
intercept: { ca_cert_file: /nonexistent/ca.crt, ca_key_file: /nonexistent/ca.key }
connect: { unmatched: allow }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "files that are something else",
        "
intercept: { ca_cert_file: /dev/null, ca_key_file: /dev/null }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "a tunnel that nothing leads through",
        "
intercept: { ca_cert_file: /nonexistent/ca.crt }
connect: { idle_timeout: 5, connect_timeout: 0s, alow_local: true }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
];
