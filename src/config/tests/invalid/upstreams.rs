//! Invalid files: connections to upstreams, and limits. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("refresh_on", "
services:
  fixed: { upstream: https://a.example, auth: { type: bearer, token: CANARY }, refresh_on: { status: 403 } }
  values:
    upstream: https://a.example
    auth: { type: bearer, token: CANARY, previous: CANARY-2 }
    refresh_on:
      - { status: 401 }
      - { status: 429 }
      - { status: 200 }
      - { status: 99, code: Expired }
      - { status: 403, code: x }
      - { status: 403, code: 'ExpiredTokén' }
      - { code: Expired }
      - { status: 302, redirect: /login }
      - { redirect: login }
      - { redirect: / }
      - { redirect: '/login?x=1' }
      - { redirect: 'ftp://a.example/login' }
      - { redirect: '//a.example' }
      - {}
      - { state: 403 }
      - 403
  empty: { upstream: https://a.example, auth: { type: bearer, token: CANARY, previous: CANARY-2 }, refresh_on: [] }
"),
    ("wildcards", "
services:
  top: { upstream: 'https://*.com', auth: { use: shared } }
  registry: { upstream: 'https://*.co.uk', auth: { use: shared } }
  below: { upstream: 'https://*.kawasaki.jp', auth: { use: shared } }
  company: { upstream: 'https://*.github.io', auth: { use: shared } }
  s3: { upstream: 'https://*.s3.eu-west-1.amazonaws.com', auth: { use: shared } }
  part: { upstream: 'https://a*.example.com', auth: { use: shared } }
  inner: { upstream: 'https://a.*.example.com', auth: { use: shared } }
  twice: { upstream: 'https://*.*.example.com', auth: { use: shared } }
  alone: { upstream: 'https://*', auth: { use: shared } }
  address: { upstream: 'https://*.127.0.0.1', auth: { use: shared } }
  userinfo: { upstream: 'https://me:CANARY@*.example.com', auth: { use: shared } }
  list: { upstream: ['https://*.a.example', 'https://b.example'], auth: { use: shared } }
  name: { upstream: 'https://*.a.example', auth: { use: shared }, tls: { server_name: a.example } }
  hosts: { upstream: 'https://*.a.example', hosts: ['*.127.0.0.1', 'a.*.internal', '*.b.internal', '*.b.internal'], auth: { use: shared } }
  exact: { upstream: 'https://a.example', hosts: ['*.c.internal'], auth: { use: shared } }
  several:
    upstream: 'https://*.s3.amazonaws.com'
    auth:
      - { type: aws_sigv4, service: s3, region: eu-west-1, access_key_id: CANARY, secret_access_key: CANARY }
      - { type: api_key, name: X-Key, value: CANARY }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("several upstreams", "
services:
  none: { upstream: [], auth: { use: shared } }
  twice: { upstream: [https://a.example, \"https://A.example:443/\"], auth: { use: shared } }
  one-bad: { upstream: [https://a.example, http://b.example, ftp://c.example], auth: { use: shared } }
  mixed: { upstream: [https://a.example, http://127.0.0.1], auth: { use: shared }, tls: { min_version: \"1.3\" } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("addresses and proxies", "
services:
  name: { upstream: https://a.example, auth: { use: shared }, resolve: b.example }
  port: { upstream: https://a.example, auth: { use: shared }, resolve: [\"192.0.2.1:443\"] }
  several: { upstream: [https://a.example, https://b.example], auth: { use: shared }, resolve: 192.0.2.1 }
  no-name: { upstream: https://192.0.2.7, auth: { use: shared }, resolve: 192.0.2.1 }
  proxied: { upstream: https://a.example, auth: { use: shared }, resolve: 192.0.2.1, proxy: { url: \"http://proxy:3128\" } }
  tls: { upstream: https://a.example, auth: { use: shared }, proxy: { url: \"https://proxy:3128\" } }
  path: { upstream: https://a.example, auth: { use: shared }, proxy: { url: \"http://proxy:3128/CANARY\" } }
  userinfo: { upstream: https://a.example, auth: { use: shared }, proxy: { url: \"http://me:CANARY@proxy:3128\" } }
  text: { upstream: https://a.example, auth: { use: shared }, proxy: \"http://proxy:3128\" }
  nobody: { upstream: https://a.example, auth: { use: shared }, proxy: { username: me, password: { env: SECRET } } }
  half: { upstream: https://a.example, auth: { use: shared }, proxy: { url: \"http://proxy:3128\", username: me, CANARY: x } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("limits", "
services:
  numbers: { upstream: https://a.example, auth: { use: shared }, max_in_flight: 0, max_request_body: -1, pool: { max_idle: many, idle_timeout: 0s } }
  rate: { upstream: https://a.example, auth: { use: shared }, rate_limit: 100 }
  unit: { upstream: https://a.example, auth: { use: shared }, rate_limit: 100/d }
  burst: { upstream: https://a.example, auth: { use: shared }, rate_limit: { burst: 0 } }
  size: { upstream: https://a.example, auth: { use: shared }, max_request_body: 10 megabytes }
  circuit: { upstream: https://a.example, auth: { use: shared }, circuit_breaker: { consecutive_failures: 0, open_duration: 10, closed: 1s } }
  retry: { upstream: https://a.example, auth: { use: shared }, retry_idempotent: 3 }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("basic without anything", "
services:
  nothing: { upstream: https://a.example, auth: { type: basic, username: '', password: '' } }
  colon: { upstream: https://a.example, auth: { type: basic, username: { env: COLON }, password: '' } }
  unset: { upstream: https://a.example, auth: { type: basic, username: { env: NOT_SET }, password: '' } }
max_connections: 0
"),
];
