//! Invalid files: urls. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("upstreams that are not URLs", "
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
  no-pem: { upstream: https://a.example, auth: { use: shared }, tls: { ca_file: ./src/config/tests/fixtures/empty.txt } }
  name: { upstream: https://a.example, auth: { use: shared }, tls: { server_name: \"https://a.example\" } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
"),
    ("origins", "
browser_origins: [https://app.example/, https://app.example/path, app.example, 'null', '*', https://a.example?q, http://app.example:8080]
services:
  a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
"),
];
