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
    ("azure_managed_identity", "
services:
  two: { upstream: https://a.example, auth: { type: azure_managed_identity, scope: api://a/.default, client_id: a, object_id: b } }
  values:
    upstream: https://b.example
    auth: { type: azure_managed_identity, scope: /.default, resource_id: /CANARY, url: http://identity.example }
"),
    ("gcp_metadata", "
services:
  two: { upstream: https://a.example, auth: { type: gcp_metadata, scopes: [a], audience: b } }
  values:
    upstream: https://b.example
    auth: { type: gcp_metadata, scopes: ['a b', '', 'a,b'], service_account: ../../x, url: http://metadata.example }
"),
    ("gcp_service_account", "
services:
  unset: { upstream: https://a.example, auth: { type: gcp_service_account } }
  values:
    upstream: https://b.example
    auth: { type: gcp_service_account, key_file: /nonexistent/key.json, scopes: [], subject: CANARY, token_url: http://b.example }
  federation:
    upstream: https://c.example
    auth: { type: gcp_service_account, key_file: ./src/config/tests/fixtures/google-federation.json, audience: '' }
"),
    ("gcp_external_account", "
services:
  unset: { upstream: https://a.example, auth: { type: gcp_external_account } }
  values:
    upstream: https://b.example
    auth:
      type: gcp_external_account
      credential_file: /nonexistent/federation.json
      impersonation_url: http://b.example
      subject_token_host: https://c.example
      tls: { server_name: x.example }
  key:
    upstream: https://c.example
    auth: { type: gcp_external_account, credential_file: ./src/config/tests/fixtures/google-key.json, executable: CANARY }
  aws-is-not-there:
    upstream: https://d.example
    auth:
      type: gcp_external_account
      credential_file: ./src/config/tests/fixtures/google-federation.json
      aws:
        region: eu west
        credentials: { from: profile, file: /nonexistent, profile: a }
        assume_role: { role_arn: CANARY, external_id: a, session_name: a, duration: 1s, sts_url: a, sts_region: a }
  aws-keys:
    upstream: https://e.example
    auth:
      type: gcp_external_account
      credential_file: ./src/config/tests/fixtures/google-federation.json
      aws: { access_key_id: CANARY, secret_access_key: '', session_token: CANARY, arn: CANARY }
  aws-web-identity:
    upstream: https://f.example
    auth:
      type: gcp_external_account
      credential_file: ./src/config/tests/fixtures/google-federation.json
      aws:
        credentials:
          { from: web_identity, role_arn: a, session_name: a, token_file: /nonexistent, sts_url: a, sts_region: a, duration: 1s }
  aws-container:
    upstream: https://g.example
    auth:
      type: gcp_external_account
      credential_file: ./src/config/tests/fixtures/google-federation.json
      aws: { credentials: { from: container, url: ftp://a, token_file: /nonexistent } }
"),
    ("kubernetes", "
services:
  empty: { upstream: https://a.example, auth: { type: kubernetes, token_file: '' } }
  missing: { upstream: https://b.example, auth: { type: kubernetes, token_file: /nonexistent/token, token: CANARY } }
"),
];
