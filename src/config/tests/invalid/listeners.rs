//! Invalid files: listeners. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("addresses", "
listen: [8080, \":8080\", 127.0.0.1, 127.0.0.1:70000, example.com:80, /run/s.sock, \"unix:s.sock\", \"::1:8080\"]
admin: localhost
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    ("empty list of addresses", "
listen: []
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    ("listeners that overlap", "
listen: [127.0.0.1:8080, localhost:8080, \"unix:/run/s.sock\"]
admin: 0.0.0.0:8080
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: \"[::]:8080\"
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: [\"unix:/run/s.sock\", 127.0.0.1:8082]
"),
    ("listener on the default of another", "
admin: 127.0.0.1:8080
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: 127.0.0.1:8080
"),
    ("hosts", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    hosts: [mail.internal, MAIL.internal, \"mail.internal:80\", https://mail.internal, \"*.internal\", a..b, 5]
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    hosts: [mail.internal]
"),
];
