//! The configuration of the demo.

use std::net::SocketAddr;

/// Services of several kinds, in front of the echo server.
pub(super) fn services(
    listen: SocketAddr,
    admin: SocketAddr,
    echo: SocketAddr,
    tokens: SocketAddr,
) -> String {
    format!(
        "listen: {listen}
admin: {admin}
log: {{ level: warn }}
services:
  basic:
    upstream: http://{echo}
    auth: {{ type: basic, username: demo, password: correct-horse-battery-staple }}
  bearer:
    upstream: http://{echo}
    auth: {{ type: bearer, token: demo-bearer-token-0123456789 }}
  header-key:
    upstream: http://{echo}
    auth: {{ type: api_key, in: header, name: X-API-Key, value: demo-header-key-0123456789 }}
  query-key:
    upstream: http://{echo}
    auth: {{ type: api_key, in: query, name: key, value: demo-query-key-0123456789 }}
  cookie-key:
    upstream: http://{echo}
    auth: {{ type: api_key, in: cookie, name: session, value: demo-cookie-key-0123456789 }}
  oauth2:
    upstream: http://{echo}
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: http://{tokens}/oauth/v2/token
      client_id: demo
      client_secret: demo-client-secret
      scopes: [demo.read]
"
    )
}
