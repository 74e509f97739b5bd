//! Invalid files: `hardening`.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "hardening as an unknown word",
        "hardening: ful\nservices: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }\n",
    ),
    (
        "hardening as a bool",
        "hardening: false\nservices: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }\n",
    ),
    (
        "hardening with relative and unknown",
        "
hardening: { writable: [vault, /var/lib/vault], writeable: [/x] }
services: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "hardening without folders",
        "
hardening: { writable: [] }
services: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
];
