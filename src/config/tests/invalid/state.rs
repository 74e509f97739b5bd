//! Invalid files: state. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "state without required keys",
        "
state: {}
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "state with a short key and invalid values",
        "
state: { dir: '', key: CANARY-short, access_tokens: 1, path: /var/lib/sidekey }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "state that is not a mapping",
        "
state: /var/lib/sidekey
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
];
