//! Invalid files: the admin listener. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "admin listener as a list",
        "
admin: [127.0.0.1:9090, 127.0.0.1:9091]
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin with misspelled keys",
        "
admin: { lisen: 127.0.0.1:9090, tokn: { env: SECRET } }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin token too short",
        "
admin: { listen: 127.0.0.1:9090, token: { env: SECRET } }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin token with a space",
        "
admin: { token: CANARY with many spaces in it }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin token missing",
        "
admin: { token: { env: NOT_SET } }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "reading closed without a token",
        "
admin: { require_token_to_read: true, require_token_for_metrics: true }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin hosts",
        "
admin: { hosts: [\"*.internal\", admin.internal:9090, https://a] }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin with text for a boolean",
        "
admin: { require_token_to_read: maybe }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "admin token with a comma",
        "
admin: { token: CANARY,CANARY,CANARY }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "managed folder without a token, that is not there",
        "
admin: { manage: /does/not/exist }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "managed folder that `include` does not lead to",
        "
admin: { token: 0123456789-CANARY, manage: /usr }
include: [/usr/none-*.yaml, /usr/share]
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "managed folder of another type",
        "
admin: { token: 0123456789-CANARY, manage: [] }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
];
