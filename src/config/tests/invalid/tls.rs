//! Invalid files: tls. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[("client certificates and versions", "
services:
  half: { upstream: https://a.example, auth: { use: shared }, tls: { cert_file: /etc/tls.crt } }
  other-half: { upstream: https://a.example, auth: { use: shared }, tls: { key_file: /etc/tls.key } }
  missing: { upstream: https://a.example, auth: { use: shared }, tls: { cert_file: /nonexistent/tls.crt, key_file: /nonexistent/tls.key } }
  empty: { upstream: https://a.example, auth: { use: shared }, tls: { cert_file: ./src/config/tests/fixtures/empty.txt, key_file: ./src/config/tests/fixtures/empty.txt } }
  number: { upstream: https://a.example, auth: { use: shared }, tls: { min_version: 1.2 } }
  old: { upstream: https://a.example, auth: { use: shared }, tls: { min_version: \"1.1\" } }
  word: { upstream: https://a.example, auth: { use: shared }, tls: { insecure_skip_verify: \"yes\" } }
  both: { upstream: https://a.example, auth: { use: shared }, tls: { insecure_skip_verify: true, ca_file: ./src/config/tests/fixtures/empty.txt } }
  plain: { upstream: http://127.0.0.1, auth: { use: shared }, tls: { insecure_skip_verify: true } }
  token-endpoint: { upstream: https://a.example, auth: { type: oauth2, grant_type: client_credentials, token_url: https://a.example/t,
    client_id: a, client_secret: { env: SECRET }, tls: { server_name: b.example } } }
credentials:
  shared: { type: bearer, token: { env: SECRET } }
")];
