//! Invalid files: credentials. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("unknown auth type", "
services:
  slip: { upstream: https://a.example, auth: { type: beerer, token: CANARY } }
  none: { upstream: https://a.example, auth: { token: CANARY } }
  far: { upstream: https://a.example, auth: { type: kerberos, keytab: CANARY } }
"),
    ("signatures of AWS", "
services:
  none: { upstream: https://a.example, auth: { type: aws_sigv4 } }
  half: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: eu-west-1, access_key_id: CANARY } }
  other-half: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: eu-west-1, secret_access_key: { env: SECRET } } }
  scope: { upstream: https://a.example, auth: { type: aws_sigv4, service: Amazon S3, region: Europe (Ireland), access_key_id: { env: SECRET }, secret_access_key: { env: SECRET } } }
  temporary: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, access_key_id: ASIACANARY, secret_access_key: { env: SECRET } } }
  id: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, access_key_id: CANARY/x, secret_access_key: 'CANARY x' } }
  in-query: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, access_key_id: { env: SECRET }, secret_access_key: { env: SECRET }, in: query, payload: signed } }
  unsigned-in-query: { upstream: https://a.example, auth: { type: aws_sigv4, service: es, region: a, access_key_id: { env: SECRET }, secret_access_key: { env: SECRET }, in: query, payload: unsigned } }
  both: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, region_set: '*', access_key_id: { env: SECRET }, secret_access_key: { env: SECRET } } }
  set: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region_set: ['eu-*', 'us east'], access_key_id: { env: SECRET }, secret_access_key: { env: SECRET } } }
  from: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, credentials: { from: vault } } }
  two: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, access_key_id: CANARY, credentials: { from: instance } } }
  mixed: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, credentials: { from: instance, profile: CANARY, url: 'http://CANARY.example' } } }
  role: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, credentials: { from: instance }, assume_role: { role_arn: CANARY, session_name: 'CANARY x', duration: 13h, sts_url: 'http://CANARY.example' } } }
  sts: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region_set: '*', credentials: { from: instance }, assume_role: { role_arn: 'arn:aws:iam::1:role/r' } } }
  environment: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, credentials: { from: environment } } }
  words: { upstream: https://a.example, auth: { type: aws_sigv4, service: s3, region: a, access_key_id: { env: SECRET }, secret_access_key: { env: SECRET }, in: body, payload: sometimes } }
"),
    ("lists of credentials", "
credentials:
  key: { type: api_key, name: X-Key, value: { env: SECRET } }
services:
  empty: { upstream: https://a.example, auth: [] }
  many: { upstream: https://a.example, auth: [{ use: key }, { type: bearer, token: CANARY }, { type: api_key, name: X-1, value: CANARY }, { type: api_key, name: X-2, value: CANARY }, { type: api_key, name: X-3, value: CANARY }] }
  same: { upstream: https://a.example, auth: [{ use: key }, { type: api_key, name: x_key, value: CANARY }] }
  authorization: { upstream: https://a.example, auth: [{ type: bearer, token: CANARY }, { type: basic, username: u, password: CANARY }] }
  query: { upstream: https://a.example, auth: [{ type: api_key, in: query, name: k, value: CANARY }, { type: header, headers: { X: y }, query: { k: CANARY } }] }
  signed: { upstream: https://a.example, auth: [{ type: hmac, key: CANARY, parts: [path], header: X-1 }, { type: hmac, key: CANARY, parts: [path], header: X-2 }] }
  previous: { upstream: https://a.example, auth: [{ type: bearer, token: CANARY, previous: CANARY-2 }, { type: jwt, secret: CANARY, token: { name: X-Jwt } }] }
  previous-two: { upstream: https://a.example, auth: [{ type: bearer, token: CANARY, previous: CANARY-2 }, { type: api_key, name: X-Key, value: CANARY, previous: CANARY-2 }] }
  inner: { upstream: https://a.example, auth: [{ type: bearer, token: CANARY, tokn: CANARY }, [{ type: bearer }], CANARY, { use: none }] }
"),
    ("logins", "
services:
  none: { upstream: https://a.example, auth: { type: login } }
  places: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', fields: { p: CANARY }, session: 'body:x', lifetime_field: ttl } }
  pointer: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', fields: { p: CANARY }, session: 'json:x' } }
  cookie: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', fields: { p: CANARY }, session: 'cookie:a b' } }
  header: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', fields: { p: CANARY }, session: 'header:Content-Length' } }
  plain: { upstream: https://a.example, auth: { type: login, login_url: 'http://a.example', fields: { p: CANARY }, session: 'header:X', logout_url: 'http://b.example' } }
  basic: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', login_format: basic, fields: { p: CANARY }, session: 'header:X' } }
  json: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', username: a, password: CANARY, session: 'header:X' } }
  inside: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', fields: { /a: CANARY, /a/b: CANARY }, session: 'header:X' } }
  words: { upstream: https://a.example, auth: { type: login, login_url: 'https://a.example', login_format: xml, fields: {}, session: 'header:X', logout_method: post, session_lifetime: 31d } }
  page:
    upstream: https://a.example
    auth:
      type: login
      login_url: https://a.example/login
      fields: { p: CANARY }
      previous: { q: CANARY }
      session: header:X
      csrf: { url: 'https://b.example/CANARY', from: 'field:x', field: t, header: Content-Length, form: t }
  nowhere:
    upstream: https://a.example
    auth: { type: login, login_url: 'https://a.example', fields: { p: CANARY }, session: 'header:X', csrf: { from: 'input:x' } }
  no-fields:
    upstream: https://a.example
    auth:
      type: login
      login_url: https://a.example
      login_format: basic
      username: a
      password: CANARY
      previous: ''
      session: header:X
      csrf: { from: 'cookie:a', field: t }
"),
    ("http signatures", "
services:
  none: { upstream: https://a.example, auth: { type: http_signature } }
  key: { upstream: https://a.example, auth: { type: http_signature, algorithm: ed25519, key: CANARY, components: ['@method'] } }
  encoded: { upstream: https://a.example, auth: { type: http_signature, algorithm: hmac-sha256, key: CANARY, key_encoding: hex, components: ['@method'] } }
  pem: { upstream: https://a.example, auth: { type: http_signature, algorithm: ed25519, key: CANARY, key_encoding: base64, components: ['@method'] } }
  empty: { upstream: https://a.example, auth: { type: http_signature, algorithm: hmac-sha256, key: CANARY, components: [] } }
  twice: { upstream: https://a.example, auth: { type: http_signature, algorithm: hmac-sha256, key: CANARY, components: [date, Date] } }
  parts: { upstream: https://a.example, auth: { type: http_signature, algorithm: hmac-sha256, key: CANARY, components: ['@status', 'date;req', cookie, host, '@query-param'] } }
  words: { upstream: https://a.example, auth: { type: http_signature, algorithm: rsa, key: CANARY, components: [date], label: Sig, tag: 'é', key_id: '', content_digest: md5, expires_in: 25h } }
  times: { upstream: https://a.example, auth: { type: http_signature, algorithm: hmac-sha256, key: CANARY, components: [date], created: false, expires_in: 1m } }
  previous: { upstream: https://a.example, auth: { type: http_signature, algorithm: hmac-sha256, key: CANARY, components: [date], previous_key_id: a } }
"),
    ("digest", "
services:
  none: { upstream: https://a.example, auth: { type: digest } }
  colon: { upstream: https://a.example, auth: { type: digest, username: 'a:CANARY', password: CANARY } }
  words: { upstream: https://a.example, auth: { type: digest, username: a, password: CANARY, algorithms: [md5, md5], realm: '' } }
  unknown: { upstream: https://a.example, auth: { type: digest, username: a, password: CANARY, algorithms: sha-1 } }
  empty: { upstream: https://a.example, auth: { type: digest, username: a, password: CANARY, algorithms: [] } }
"),
    ("credentials by name", "
credentials:
  billing: { type: basic, username: u, password: { env: SECRET } }
  chained: { use: billing }
  broken: { type: bearer, token: { env: UNSET } }
services:
  slip: { upstream: https://a.example, auth: { use: biling } }
  both: { upstream: https://a.example, auth: { use: billing, type: basic } }
  more: { upstream: https://a.example, auth: { use: billing, username: CANARY } }
  said-once: { upstream: https://a.example, auth: { use: broken } }
"),
    ("use without credentials", "
services:
  mail: { upstream: https://a.example, auth: { use: mail } }
"),
    (
        "secrets in the wrong place",
        "
listen: CANARY
admin: CANARY:80
services:
  upstream: { upstream: CANARY, auth: CANARY }
  type: { upstream: https://CANARY:CANARY, auth: { type: CANARY } }
  use: { upstream: https://a.example, auth: { use: CANARY }, hosts: [CANARY CANARY], listen: CANARY }
  basic: { upstream: https://a.example, auth: { type: basic, username: [CANARY], password: { CANARY: CANARY } } }
  key: { upstream: https://a.example, auth: { type: api_key, in: CANARY, name: CANARY CANARY, value: CANARY } }
  oauth2:
    upstream: https://a.example
    timeouts: { total: CANARY }
    auth:
      type: oauth2
      grant_type: CANARY
      token_url: CANARY
      client_id: [CANARY]
      client_secret: [CANARY]
      auth_method: CANARY
      basic_auth_encoding: CANARY
      scopes: [CANARY CANARY]
      token_request: { params: CANARY }
      default_expires_in: CANARY
      tls: { ca_file: CANARY, server_name: CANARY CANARY }
log: { level: CANARY, format: CANARY }
access_log: CANARY
threads: CANARY
",
    ),
    ("secret file missing", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: /nonexistent/mail-token } }
"),
    ("a secret in place of a file name", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: CANARY-token } }
"),
    ("secret file is empty", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: ./src/config/tests/fixtures/empty.txt } }
"),
    ("secret file is a folder", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: / } }
"),
    ("secret file is a device", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: /dev/null } }
"),
    ("secret file with two lines", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: ./src/config/tests/fixtures/two-lines.txt } }
"),
    ("secret from the environment", "
services:
  unset: { upstream: https://a.example, auth: { type: bearer, token: { env: UNSET } } }
  empty: { upstream: https://a.example, auth: { type: bearer, token: { env: EMPTY } } }
  lines: { upstream: https://a.example, auth: { type: bearer, token: { env: TWO_LINES } } }
  misplaced: { upstream: https://a.example, auth: { type: bearer, token: { env: CANARY-sk-live } } }
  no-name: { upstream: https://a.example, auth: { type: bearer, token: { env: \"\" } } }
"),
    ("empty secrets", "
services:
  bearer: { upstream: https://a.example, auth: { type: bearer, token: \"\" } }
  basic: { upstream: https://a.example, auth: { type: basic, username: u, password: \"\" } }
"),
    ("newline in a secret", "
services:
  mail:
    upstream: https://a.example
    auth:
      type: basic
      username: u
      password: |
        CANARY
"),
    ("secrets that are not text", "
services:
  number: { upstream: https://a.example, auth: { type: basic, username: 7, password: 123456 } }
  bool: { upstream: https://a.example, auth: { type: bearer, token: true } }
  list: { upstream: https://a.example, auth: { type: bearer, token: [CANARY] } }
  braces: { upstream: https://a.example, auth: { type: bearer, token: {CANARY} } }
  nothing: { upstream: https://a.example, auth: { type: bearer, token: {} } }
  two: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET, file: ./src/config/tests/fixtures/empty.txt } } }
"),
    ("commands", "
services:
  line: { upstream: https://a.example, auth: { type: bearer, token: { exec: cat CANARY } } }
  empty: { upstream: https://a.example, auth: { type: bearer, token: { exec: [] } } }
  nameless: { upstream: https://a.example, auth: { type: bearer, token: { exec: [\"\", CANARY] } } }
  number: { upstream: https://a.example, auth: { type: bearer, token: { exec: [echo, 7] } } }
  missing: { upstream: https://a.example, auth: { type: bearer, token: { exec: [/nonexistent/CANARY] } } }
  fails: { upstream: https://a.example, auth: { type: bearer, token: { exec: [sh, -c, echo CANARY; echo CANARY >&2; exit 7] } } }
  silent: { upstream: https://a.example, auth: { type: bearer, token: { exec: [\"true\"] } } }
  no-json: { upstream: https://a.example, auth: { type: bearer, token: { exec: [echo, CANARY], format: json } } }
  expired: { upstream: https://a.example, auth: { type: bearer, token: { exec: [echo, '{\"value\":\"CANARY\",\"expires_at\":1}'], format: json } } }
  two: { upstream: https://a.example, auth: { type: bearer, token: { exec: [echo, CANARY], env: SECRET } } }
  keys: { upstream: https://a.example, auth: { type: bearer, token: { exec: [echo, a], timeout: 0s, refresh_interval: 5, format: yaml, retries: 3 } } }
  key: { upstream: https://a.example, auth: { type: oauth2, grant_type: client_credentials, token_url: https://a.example/t, client_id: a, auth_method: private_key_jwt, private_key: { exec: [echo, CANARY] } } }
  subject: { upstream: https://a.example, auth: { type: oauth2, grant_type: token_exchange, token_url: https://a.example/t, subject_token: { exec: [echo, \"CANARY\\nCANARY\"] } } }
  keys-of-another: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET, timeout: 1s } } }
"),
    ("user names", "
services:
  colon: { upstream: https://a.example, auth: { type: basic, username: \"a:CANARY\", password: { env: SECRET } } }
  newline: { upstream: https://a.example, auth: { type: basic, username: \"a\\nCANARY\", password: { env: SECRET } } }
"),
    ("bearer tokens", "
services:
  scheme: { upstream: https://a.example, auth: { type: bearer, token: Bearer CANARY } }
  space: { upstream: https://a.example, auth: { type: bearer, token: CANARY CANARY } }
  umlaut: { upstream: https://a.example, auth: { type: bearer, token: CANARY-ü } }
"),
    ("API keys", "
services:
  place: { upstream: https://a.example, auth: { type: api_key, in: body, name: k, value: CANARY } }
  host: { upstream: https://a.example, auth: { type: api_key, name: Host, value: CANARY } }
  proxy: { upstream: https://a.example, auth: { type: api_key, name: Proxy-Authorization, value: CANARY } }
  cookie-header: { upstream: https://a.example, auth: { type: api_key, name: Cookie, value: CANARY } }
  header-name: { upstream: https://a.example, auth: { type: api_key, name: \"X Key\", value: CANARY } }
  header-value: { upstream: https://a.example, auth: { type: api_key, name: X-Key, value: CANARY-ü } }
  header-space: { upstream: https://a.example, auth: { type: api_key, name: X-Key, value: \"CANARY \" } }
  header-prefix: { upstream: https://a.example, auth: { type: api_key, name: X-Key, prefix: \"a\\nb\", value: CANARY } }
  query-name: { upstream: https://a.example, auth: { type: api_key, in: query, name: \"\", value: CANARY } }
  cookie-name: { upstream: https://a.example, auth: { type: api_key, in: cookie, name: \"a=b\", value: CANARY } }
  cookie-value: { upstream: https://a.example, auth: { type: api_key, in: cookie, name: a, value: \"CANARY;CANARY\" } }
"),
    ("prefixes of headers", "
services:
  value: { upstream: https://a.example, auth: { type: header, headers: { X-Key: { prefix: 'Bearer ' } } } }
  prefix: { upstream: https://a.example, auth: { type: header, headers: { X-Key: { value: CANARY } } } }
  source: { upstream: https://a.example, auth: { type: header, headers: { X-Key: { prefix: 'Bearer ', file: /CANARY } } } }
  space: { upstream: https://a.example, auth: { type: header, headers: { X-Key: { prefix: ' Bearer', value: CANARY } } } }
  line: { upstream: https://a.example, auth: { type: header, headers: { X-Key: { prefix: \"a\\nb\", value: CANARY } } } }
  umlaut: { upstream: https://a.example, auth: { type: header, headers: { X-Key: { prefix: 'Bearer ', value: CANARY-ü } } } }
  query: { upstream: https://a.example, auth: { type: header, query: { key: { prefix: 'Bearer ', value: CANARY } } } }
"),
    ("oauth2 words", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credential
      token_url: https://a.example/token
      client_id: crm
      client_secret: CANARY
      auth_method: client_secret_baisc
      basic_auth_encoding: base64
"),
    ("oauth2 values", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://a.example/token#CANARY
      client_id: \"\"
      client_secret: \"\"
      auth_method: client_secret_post
      basic_auth_encoding: raw
      scopes: [a b, 5, \"\\\"\"]
      token_request:
        params: { client_secret: CANARY, scope: a, audience: 7, resource: [a, {}], CANARY }
        timeout: 10
      default_expires_in: 0s
"),
    ("oauth2 client id with a colon", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://a.example/token
      client_id: a:b
      client_secret: CANARY
      basic_auth_encoding: raw
"),
];
