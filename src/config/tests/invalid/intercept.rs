//! Invalid files: interception and tunnels. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "missing files and keys",
        "
intercept: { ca_cert_file: /nonexistent/ca.crt, ca_key_file: /nonexistent/ca.key }
connect: { unmatched: allow }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "files with other content",
        "
intercept: { ca_cert_file: ./src/config/tests/fixtures/empty.txt, ca_key_file: ./src/config/tests/fixtures/empty.txt }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "tunnel settings without tunnels",
        "
intercept: { ca_cert_file: /nonexistent/ca.crt }
connect: { idle_timeout: 5, connect_timeout: 0s, alow_local: true }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
];
