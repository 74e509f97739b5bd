//! Broken files, each with the name of what is broken. Every secret has CANARY in it.

/// Name and text; the first newline is not part of the text.
pub(super) const CASES: &[(&str, &str)] = &[
    // The document.
    ("empty file", ""),
    ("comments only", "# nothing yet\n"),
    ("not a mapping", "- services\n"),
    ("a scalar", "hello\n"),
    ("tab for indentation", "services:\n\tmail: {}\n"),
    ("unclosed bracket", "services: { mail: { upstream: https://a.example }\nlisten: 127.0.0.1:1\n"),
    ("bad indentation", "
services:
  mail:
    upstream: https://a.example
   auth: { type: bearer, token: CANARY }
"),
    ("two documents", "services: {}\n---\nservices: {}\n"),
    ("tag", "
services:
  mail:
    upstream: !!str https://a.example
    auth: { type: bearer, token: !CANARY x }
"),
    ("password that begins like an alias", "
services:
  mail:
    upstream: https://a.example
    auth: { type: basic, username: u, password: *CANARY }
"),
    ("password that begins with an at sign", "
services:
  mail:
    upstream: https://a.example
    auth:
      type: basic
      username: u
      password: @CANARY
"),
    ("alias that contains itself", "services: &all { mail: *all }\n"),
    ("a list as a key", "services:\n  [a, b]: {}\n"),
    ("merge of something else", "
services:
  mail:
    <<: 5
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
"),
    ("duplicate keys", "
listen: 127.0.0.1:8080
services:
  mail:
    upstream: https://a.example
    upstream: https://b.example
    auth: { type: bearer, token: CANARY, token: CANARY }
listen: 127.0.0.1:8081
"),
    ("duplicate services", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
  maps:
    upstream: https://b.example
    auth: { type: bearer, token: { env: SECRET } }
  mail:
    upstream: https://c.example
    auth: { type: bearer, token: { env: SECRET } }
"),
    // Keys.
    ("services left out", "listen: 127.0.0.1:8080\n"),
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
    ("unknown keys in every table", "
services:
  mail:
    upstrem: https://a.example
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET }, tokn: CANARY }
    tls: { cafile: x, cert_file: y }
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
    ("unknown key that is the tail of a secret", "
services:
  mail:
    upstream: https://a.example
    auth: { type: basic, username: u, password: CANARY,CANARY tail, CANARY }
"),
    ("required keys left out", "
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
log: { level: inof, format: jason, access: sometimes }
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    // URLs.
    ("upstreams that are no URLs", "
services:
  scheme: { upstream: api.example.com, auth: { use: shared } }
  slashes: { upstream: \"https:api.example.com\", auth: { use: shared } }
  host: { upstream: \"https://\", auth: { use: shared } }
  host-too: { upstream: https:///path, auth: { use: shared } }
  port: { upstream: \"https://api.example.com:99999\", auth: { use: shared } }
  port-zero: { upstream: \"https://api.example.com:0\", auth: { use: shared } }
  ftp: { upstream: ftp://api.example.com, auth: { use: shared } }
  space: { upstream: https://api.example.com/a b, auth: { use: shared } }
  backslash: { upstream: 'https://api.example.com\\a', auth: { use: shared } }
  empty: { upstream: \"\", auth: { use: shared } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("credentials in a URL", "
services:
  mail:
    upstream: https://user:CANARY@a.example
    auth: { type: bearer, token: { env: SECRET } }
"),
    ("query and fragment", "
services:
  query: { upstream: https://a.example/?key=CANARY, auth: { use: shared } }
  fragment: { upstream: \"https://a.example/#top\", auth: { use: shared } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("plaintext upstream", "
services:
  mail:
    upstream: http://mail.internal
    auth: { type: bearer, token: { env: SECRET } }
"),
    ("plaintext token endpoint", "
services:
  crm:
    upstream: https://a.example
    allow_plaintext: true
    auth: { type: oauth2, grant_type: client_credentials, token_url: http://login.internal/token, client_id: crm, client_secret: { env: SECRET } }
"),
    ("tls", "
services:
  plain: { upstream: http://127.0.0.1, auth: { use: shared }, tls: { server_name: a.example } }
  missing: { upstream: https://a.example, auth: { use: shared }, tls: { ca_file: /nonexistent/ca.pem } }
  no-pem: { upstream: https://a.example, auth: { use: shared }, tls: { ca_file: /dev/null } }
  name: { upstream: https://a.example, auth: { use: shared }, tls: { server_name: \"https://a.example\" } }
  verify: { upstream: https://a.example, auth: { use: shared }, tls: { danger_skip_verify: true } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    // Credentials.
    ("unknown auth type", "
services:
  slip: { upstream: https://a.example, auth: { type: beerer, token: CANARY } }
  none: { upstream: https://a.example, auth: { token: CANARY } }
  far: { upstream: https://a.example, auth: { type: kerberos, keytab: CANARY } }
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
    ("a credential where there are none", "
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
      endpoint_params: CANARY
      default_expires_in: CANARY
      tls: { ca_file: CANARY, server_name: CANARY CANARY }
log: { level: CANARY, format: CANARY, access: CANARY }
threads: CANARY
",
    ),
    ("secret file is not there", "
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
    auth: { type: bearer, token: { file: /dev/null } }
"),
    ("secret file is a folder", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { file: / } }
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
    ("secrets that are no text", "
services:
  number: { upstream: https://a.example, auth: { type: basic, username: 7, password: 123456 } }
  bool: { upstream: https://a.example, auth: { type: bearer, token: true } }
  list: { upstream: https://a.example, auth: { type: bearer, token: [CANARY] } }
  braces: { upstream: https://a.example, auth: { type: bearer, token: {CANARY} } }
  nothing: { upstream: https://a.example, auth: { type: bearer, token: {} } }
  two: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET, file: /dev/null } } }
  exec: { upstream: https://a.example, auth: { type: bearer, token: { exec: [cat, CANARY] } } }
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
    ("oauth2 of a later version", "
services:
  crm:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: password
      token_url: https://a.example/token
      client_id: crm
      client_secret: CANARY
      auth_method: private_key_jwt
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
      endpoint_params: { client_secret: CANARY, scope: a, audience: 7, resource: [a, {}], CANARY }
      default_expires_in: 0s
      request_timeout: 10
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
    // Durations.
    ("durations", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    token_wait: 5
    timeouts: { connect: 0s, first_byte: 1.5s, idle: 5 min, total: 31d }
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    token_wait: \"5\"
    timeouts: { connect: -5s, first_byte: 30m1h, idle: 721h, total: \"\" }
"),
    // Listeners.
    ("addresses", "
listen: [8080, \":8080\", 127.0.0.1, 127.0.0.1:70000, example.com:80, /run/s.sock, \"unix:s.sock\", \"::1:8080\"]
admin: localhost
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    ("empty list of addresses", "
listen: []
services: { mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
"),
    ("listeners that overlap", "
listen: [127.0.0.1:8080, localhost:8080, \"unix:/run/s.sock\"]
admin: 0.0.0.0:8080
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: \"[::]:8080\"
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: [\"unix:/run/s.sock\", 127.0.0.1:8082]
"),
    ("listener on the default of another", "
admin: 127.0.0.1:8080
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    listen: 127.0.0.1:8080
"),
    ("hosts", "
services:
  mail:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    hosts: [mail.internal, MAIL.internal, \"mail.internal:80\", https://mail.internal, \"*.internal\", a..b, 5]
  maps:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    hosts: [mail.internal]
"),
    // Variables.
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
    ("a variable in a key is no variable", "
services:
  ${SECRET}:
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
"),
    ("mistakes in what is merged", "
services:
  mail: &mail
    upstream: https://a.example
    auth: { type: bearer, token: { env: SECRET } }
    timeouts: { connect: 5 }
  maps:
    <<: *mail
    upstrem: https://b.example
"),
    ("many mistakes at once", "
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

/// What is too large to write out.
pub(super) fn large() -> Vec<(&'static str, String)> {
    let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push(format!("a{level}: &a{level} [{inner}]"));
    }
    let deep: Vec<_> = (0..100).map(|level| " ".repeat(level) + "a:").collect();
    vec![
        ("aliases that multiply", bomb.join("\n")),
        ("deep nesting", deep.join("\n")),
        ("deep nesting in brackets", "[".repeat(100)),
        ("brackets without end", "[".repeat(1_000_000)),
        ("larger than 1 MiB", "#".repeat(1024 * 1024 + 1)),
    ]
}
