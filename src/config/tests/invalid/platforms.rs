//! Identities that the platform of a workload has.

use super::Cases;

pub(super) const CASES: Cases = &[
    ("azure_workload_identity", "
services:
  unset: { upstream: https://a.example, auth: { type: azure_workload_identity, scope: 'https://a.example/.default' } }
  values:
    upstream: https://b.example
    auth:
      type: azure_workload_identity
      scope: https://graph.microsoft.com
      tenant_id: a/b
      client_id: ''
      token_file: ''
      authority_host: http://login.example
      tls: { server_name: x.example }
      client_secret: CANARY
  file:
    upstream: https://c.example
    auth: { type: azure_workload_identity, scope: api://c/.default, tenant_id: t, client_id: c, token_file: /nonexistent/token }
"),
    ("kubernetes", "
services:
  empty: { upstream: https://a.example, auth: { type: kubernetes, token_file: '' } }
  missing: { upstream: https://b.example, auth: { type: kubernetes, token_file: /nonexistent/token, token: CANARY } }
"),
];
