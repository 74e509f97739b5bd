//! Invalid files: document. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("empty file", ""),
    ("comments only", "# nothing yet\n"),
    ("not a mapping", "- services\n"),
    ("a scalar", "hello\n"),
    ("tab for indentation", "services:\n\tmail: {}\n"),
    ("unclosed bracket", "services: { mail: { upstream: https://a.example }\nlisten: 127.0.0.1:1\n"),
    (
        "bad indentation",
        "
services:
  mail:
    upstream: https://a.example
   auth: { type: bearer, token: CANARY }
",
    ),
    ("two documents", "services: {}\n---\nservices: {}\n"),
    (
        "tag",
        "
services:
  mail:
    upstream: !!str https://a.example
    auth: { type: bearer, token: !CANARY x }
",
    ),
    (
        "password that begins like an alias",
        "
services:
  mail:
    upstream: https://a.example
    auth: { type: basic, username: u, password: *CANARY }
",
    ),
    (
        "password that begins with an at sign",
        "
services:
  mail:
    upstream: https://a.example
    auth:
      type: basic
      username: u
      password: @CANARY
",
    ),
    ("alias that contains itself", "services: &all { mail: *all }\n"),
    ("a list as a key", "services:\n  [a, b]: {}\n"),
    (
        "merge of something else",
        "
services:
  mail:
    <<: 5
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
",
    ),
    (
        "duplicate keys",
        "
listen: 127.0.0.1:8080
services:
  mail:
    upstream: https://a.example
    upstream: https://b.example
    auth: { type: bearer, token: CANARY, token: CANARY }
listen: 127.0.0.1:8081
",
    ),
    (
        "duplicate services",
        "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
  maps:
    upstream: https://b.example
    auth: { type: bearer, token: { env: SECRET } }
  mail:
    upstream: https://c.example
    auth: { type: bearer, token: { env: SECRET } }
",
    ),
];
