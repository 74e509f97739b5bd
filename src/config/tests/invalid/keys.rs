//! Invalid files: keys. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("services missing", "listen: 127.0.0.1:8080\n"),
    ("no services", "services: {}\n"),
    ("services without a value", "services:\n"),
    ("services as a list", "services:\n  - name: mail\n"),
    ("unknown keys at the top", "
lisen: 127.0.0.1:8080
service: {}
colour: blue
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
"),
    ("keys as other programs call them", "
services:
  mail: { url: https://a.example, auth: { type: basic, user: a, pass: CANARY } }
  crm: { upstream: https://a.example, auth: { kind: bearer, value: CANARY } }
  maps: { upstream: https://a.example, auth: { type: api_key, name: X-Key, key: CANARY } }
  graph:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: client_credentials, token_endpoint: https://a.example/t, id: a, secret: CANARY }
  auth0:
    upstream: https://a.example
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://a.example/t, client_id: a, client_secret: CANARY, audience: b, resource: c }
"),
    ("no space after a colon", "
services:
  mail: { upstream: https://a.example, auth: type:bearer }
  crm: upstream:a.example
"),
    ("services that are not indented", "
services:
mail:
  upstream: https://a.example
  auth: { type: bearer, token: { env: SECRET } }
"),
    ("unknown keys in every section", "
services:
  mail:
    upstrem: https://a.example
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET }, tokn: CANARY }
    tls: { cafile: x }
    timeouts: { conect: 5s }
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token-url: https://a.example/token
      token_url: https://a.example/token
      client_id: crm
      client_secret: { env: SECRET, flie: CANARY }
log: { levle: info }
shutdown: { grace: 10s }
"),
    ("lines of a file of another kind", "
root:$y$j9T$CANARY:20228:0:99999:7:::
daemon:*:20228:0:99999:7:::
colour: blue
"),
    ("unknown key that is part of a secret", "
services:
  mail:
    upstream: https://a.example
    auth: { type: basic, username: u, password: CANARY,CANARY tail, CANARY }
"),
    ("required keys missing", "
services:
  empty: {}
  basic: { upstream: https://a.example, auth: { type: basic } }
  bearer: { upstream: https://a.example, auth: { type: bearer } }
  key: { upstream: https://a.example, auth: { type: api_key } }
  oauth: { upstream: https://a.example, auth: { type: oauth2 } }
"),
    ("keys without a value", "
listen:
services:
  mail:
    upstream:
    auth:
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: }
"),
    ("wrong types", "
listen: { port: 8080 }
admin: [127.0.0.1:9090]
services:
  mail:
    upstream: 8080
    auth: bearer
    hosts: mail.internal
    optional: yes
    allow_plaintext: 1
    timeouts: 5s
log: debug
shutdown: 10s
threads: many
"),
    ("service names", "
services:
  -mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
  a/b: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
  \"line\\nbreak\": { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
"),
    ("threads out of range", "
threads: 0
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    ("threads below zero", "
threads: -1
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    ("log", "
log: { level: inof, format: jason }
access_log: sometimes
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
];
