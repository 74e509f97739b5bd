//! Invalid files: rules. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[(
    "rules",
    "
services:
  empty: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, allow: [], deny: '' }
  words: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, allow: [readonly, GET, get /x, GET x, /x /y] }
  paths: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, deny: [/a//b, /../x, '/{id}', /a/**b, '/a?b=1', /a%2fb] }
  parts: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, allow: [{}, { methods: [get] }, { path: x }, { methods: [], path: /x }] }
  grpc: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, allow: [{ grpc: Notes }, { grpc: a.B/C, path: /x }, { grpc: a/b/c }, { gprc: a.B/C }] }
  number: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } }, allow: 7, deny: { path: [/x] } }
",
)];
