//! Invalid files: the shared store of a fleet. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "shared without required keys",
        "
shared: {}
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with invalid values",
        "
shared:
  url: redis://redis.example
  username: 'a b'
  password: ''
  key: CANARY-short
  prefix: '{a}'
  timeout: 1ms
  when_unavailable: never
  default: 1
  servers: [CANARY]
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with several servers, and the same key twice",
        "
shared:
  url: rediss://a.example,b.example
  tls: { server_name: c.example }
  key: [CANARY-of-a-key-0123456789-0123456789, CANARY-of-a-key-0123456789-0123456789]
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with addresses that do not fit together",
        "
shared:
  url: [rediss://a.example, rediss://b.example/1, rediss://a.example]
  sentinel: { username: me, password: CANARY, port: 1 }
  cluster: true
  key: { env: SECRET }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with several servers of no form, or with both",
        "
shared:
  url: [rediss://a.example, rediss://b.example]
  sentinel: { master: 'a b', tls: {} }
  cluster: true
  key: { env: SECRET }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with several servers",
        "
shared: { url: [rediss://a.example, rediss://b.example], key: { env: SECRET } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with a cluster and a database",
        "
shared: { url: rediss://a.example/3, cluster: true, key: { env: SECRET } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with the same server twice",
        "
shared: { url: [rediss://a.example, 'rediss://a.example:26379'], sentinel: { master: a }, key: { env: SECRET } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "shared with a list of no server, and sentinels without a name",
        "
shared: { url: [], sentinel: {}, key: { env: SECRET } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "share without a store",
        "
services:
  mail:
    upstream: https://a.example
    share: true
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://t.example, client_id: a, client_secret: { env: SECRET } }
",
    ),
    (
        "credentials that cannot be shared",
        "
shared: { url: rediss://a.example, key: { env: SECRET }, default: true }
services:
  fixed: { upstream: https://a.example, share: true, auth: { type: bearer, token: { env: SECRET } } }
  not: { upstream: https://a.example, share: 1, auth: { type: bearer, token: { env: SECRET } } }
  dpop:
    upstream: https://a.example
    share: true
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://t.example, client_id: a, client_secret: { env: SECRET }, dpop: true }
  caller:
    upstream: https://a.example
    share: true
    auth: { type: oauth2, grant_type: token_exchange, token_url: https://t.example, subject_token: { from: caller } }
  subject:
    upstream: https://a.example
    share: true
    auth: { type: oauth2, grant_type: token_exchange, token_url: https://t.example, subject_token: { env: SECRET } }
  aws:
    upstream: https://a.example
    share: true
    auth: { type: aws_sigv4, service: s3, region: a, access_key_id: { env: SECRET }, secret_access_key: { env: SECRET } }
  aws_machine:
    upstream: https://a.example
    share: true
    auth: { type: aws_sigv4, service: s3, region: a, credentials: { from: instance } }
  azure_machine:
    upstream: https://a.example
    share: true
    auth: { type: azure_managed_identity, scope: https://a.example/.default }
  gcp_machine:
    upstream: https://a.example
    share: true
    auth: { type: gcp_metadata, scopes: [https://a.example/x] }
",
    ),
];
