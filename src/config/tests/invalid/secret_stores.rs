//! Invalid files: stores of secrets, and secrets from them. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "stores without what they need",
        "
secret_stores:
  a: {}
  b: { type: valt }
  c: { type: vault }
  d: { type: vault, url: 'http://d.example', login: { method: approl } }
  e: { type: vault, url: 'https://e.example/v1?x', login: { method: token } }
  f: { type: vault, url: 'https://f.example', login: { method: approle, secret_id: { env: SECRET } } }
  g: { type: vault, url: 'https://g.example', login: { method: jwt } }
  h: { type: vault, url: 'https://h.example', login: { method: certificate, role: '' } }
  i: { type: vault, url: 'https://i.example', login: CANARY }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "store with keys of another login and invalid values",
        "
secret_stores:
  a:
    type: vault
    url: https://a.example
    namespace: a b
    timeout: 0s
    refresh_interval: often
    login: { method: approle, role_id: me, token: CANARY, jwt: CANARY, role: CANARY, mount: /approle }
  b:
    type: vault
    url: https://b.example
    login: { method: kubernetes, role: me, jwt: { vault: { path: secret/a, field: b } } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "store at a path of its API",
        "
secret_stores:
  a: { type: vault, url: 'https://a.example/v1', login: { method: token, token: { env: SECRET } } }
  b: { type: vault, url: 'https://b.example/vault/ui/', login: { method: token, token: { env: SECRET } } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "secrets of stores that are not there",
        "
services:
  a: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: secret/a, field: b } } } }
  b: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: a/b, field: c, store: CANARY } } } }
",
    ),
    (
        "secrets of one of several stores",
        "
secret_stores:
  one: { type: vault, url: https://one.example, login: { method: token, token: { env: SECRET } } }
  two: { type: vault, url: https://two.example, login: { method: token } }
services:
  a: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: secret/a, field: b } } } }
  b: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: secret/a, field: b, store: on } } } }
  c: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: secret/a, field: b, store: two } } } }
",
    ),
    (
        "secrets of a store with invalid keys",
        "
secret_stores:
  one: { type: vault, url: https://one.example, login: { method: token, token: { env: SECRET } } }
services:
  a: { upstream: https://a.example, auth: { type: bearer, token: { vault: {} } } }
  b: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: /v1/CANARY, field: '', version: 0 } } } }
  c: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: v1/a, field: b, refresh_interval: 0s } } } }
  d: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: a/../b, field: c, CANARY: x }, env: SECRET } } }
",
    ),
    (
        "stores and secrets of AWS",
        "
secret_stores:
  a: { type: aws_secrets_manager, access_key_id: { env: SECRET } }
  b: { type: aws_secrets_manager, region: eu west, credentials: { from: CANARY } }
  c: { type: aws_secrets_manager, region: a, access_key_id: { env: SECRET }, secret_access_key: { env: SECRET }, session_token: { env: SECRET }, assume_role: {}, timeout: 0s }
  d: { type: aws_secrets_manager, region: a, access_key_id: { env: SECRET }, secret_access_key: { env: SECRET } }
services:
  a: { upstream: https://a.example, auth: { type: bearer, token: { aws_secrets_manager: { field: CANARY } } } }
  b: { upstream: https://a.example, auth: { type: bearer, token: { aws_secrets_manager: { id: '', version_stage: '', version_id: '', store: d } } } }
  c: { upstream: https://a.example, auth: { type: bearer, token: { vault: { path: a/b, field: c, store: d } } } }
  d: { upstream: https://a.example, auth: { type: bearer, token: { aws_secrets_manager: { id: CANARY, store: a } } } }
",
    ),
];
