//! Invalid files: TLS toward callers. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "listener without required keys",
        "
listen: [{ tls: { cert_file: /etc/hostname } }, { address: 127.0.0.1:8443, tls: true }, { adress: 127.0.0.1:8444 }]
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "missing files and files with other content",
        "
listen:
  - { address: 127.0.0.1:8443, tls: { cert_file: /nonexistent/cert.pem, key_file: /nonexistent/key.pem } }
  - { address: 127.0.0.1:8444, tls: { cert_file: ./src/config/tests/fixtures/empty.txt, key_file: ./src/config/tests/fixtures/empty.txt } }
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: { address: 127.0.0.1:8443, tls: { cert_file: \"\", key_file: 5 } }
",
    ),
];
