//! Invalid files: callers, roles, the audit log. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "callers",
        "
listen:
- { address: 127.0.0.1:8080, callers: requird }
callers:
  anonymous: { network: 10.0.0.0/8 }
  a b: { network: 10.0.0.0/8 }
  empty: {}
  none: { unix: {}, certificate: {}, bearer: {}, network: [] }
  unix: { unix: { uid: 1, user: root, gid: 65534, group: CANARY, cgroup: a/b } }
  overflow: { unix: { uid: 4294967295 } }
  certificate: { certificate: { spiffe_id: 'spiffe://*/x', uri: CANARY, dns: '*.com' } }
  plain: { bearer: { sha256: CANARY-the-key-itself } }
  both: { bearer: { sha256: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752, file: /CANARY } }
  one: { bearer: { sha256: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 } }
  same: { bearer: { sha256: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 } }
  hash_of_nothing: { bearer: { sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 } }
  typo: { bearer: { CANARYKEY: x } }
  network: { network: [10.1.0.1/16, 10.0.0.0/33, a, '::ffff:1.2.3.4'] }
  jwt: { jwt: { issuer: '', audience: a, jwks_file: /nonexistent, jwks_url: 'https://a.example', claims: { exp: x, sub: '' }, leeway: 1h } }
  keys: { jwt: { issuer: a, audience: b, jwks_token: { env: SECRET }, tls: { ca_file: /x } } }
  clear: { jwt: { issuer: a, audience: b, jwks_url: 'http://a.example' } }
  two: { bearer: { sha256: a }, jwt: { issuer: a, audience: b, jwks_file: /nonexistent } }
  limits: { network: 10.0.0.0/8, max_in_flight: 0, rate_limit: 7 }
  burst: { network: 10.0.0.0/8, rate_limit: { rate: 7/d, burst: 0 } }
services: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "roles",
        "
callers: { a: { network: 10.0.0.0/8 } }
roles:
  empty: {}
  unknown: { callers: [b, a], services: [c, a] }
  rules: { callers: a, services: { a: { allow: [readonly], deny: GET, rules: x }, c: {} } }
  none: { callers: [], services: [] }
  a b: { callers: a, services: [a] }
audit: { path: audit.log, decisions: some }
services: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
    (
        "roles_without_callers",
        "
listen: { address: 127.0.0.1:8080, callers: required }
roles: { a: { callers: a, services: [a] } }
audit: {}
services: { a: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } } }
",
    ),
];
