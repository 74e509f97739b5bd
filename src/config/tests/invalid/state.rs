//! Broken files: state. Every secret has CANARY in it.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "state without its parts",
        "
state: {}
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "state with a short key and odd values",
        "
state: { dir: '', key: CANARY-short, access_tokens: 1, path: /var/lib/sidekey }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "state that is no mapping",
        "
state: /var/lib/sidekey
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
];
