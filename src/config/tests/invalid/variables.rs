//! Invalid files: variables. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("variables", "
listen: ${UNSET}
threads: ${SECRET}
services:
  unset: { upstream: \"https://${UNSET}\", auth: { use: shared } }
  open: { upstream: \"https://${UNSET\", auth: { use: shared } }
  name: { upstream: \"https://${CANARY here}\", auth: { use: shared } }
  value: { upstream: \"${NOT_A_URL}\", auth: { use: shared } }
  in-a-secret: { upstream: https://a.example, auth: { type: basic, username: u, password: \"CANARY${canary}\" } }
  replaced: { upstream: https://a.example, auth: { type: bearer, token: \"${SECRET} ${SECRET}\" } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("shell and templates", "
services:
  variable: { upstream: https://a.example, auth: { type: bearer, token: $CANARY_TOKEN } }
  command: { upstream: https://a.example, auth: { type: bearer, token: $(cat CANARY) } }
  user: { upstream: https://a.example, auth: { type: basic, username: $CANARY_USER, password: \"{{ CANARY }}\" } }
  placeholder: { upstream: https://a.example, auth: { type: bearer, token: <CANARY-here> } }
"),
    ("variable in a key", "
services:
  ${SECRET}:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
"),
    ("errors in merged keys", "
services:
  mail: &mail
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    timeouts: { connect: 5 }
  maps:
    <<: *mail
    upstrem: https://b.example
"),
    ("many errors at once", "
lisen: 127.0.0.1:8080
admin: 9090
services:
  billing:
    upstrem: https://billing.example.com
    auth: { type: basic, username: \"svc:billing\", password: CANARY }
  mail:
    upstream: http://mail.example.com
    auth: { type: bearer, token: { file: /nonexistent/mail } }
    timeouts: { connect: 5 }
  crm:
    upstream: https://crm.example.com
    auth: { type: oauth, client_secret: CANARY }
threads: 1000
"),
];
