//! Invalid files: `tracing`. Every secret contains CANARY.

use super::Cases;

pub(super) const CASES: Cases = &[
    (
        "tracing without an endpoint",
        "
tracing: {}
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "tracing with invalid values",
        "
tracing:
  endpoint: http://127.0.0.1:4318
  otlp_endpoint: otel.example:4318
  protocol: grpc
  headers: { content-type: x, 'a b': x, authorization: { env: MISSING }, x-key: \"CANARY é\" }
  sample_ratio: 1.5
  service_name: ''
  resource: { a: 1, b: [c] }
  export_interval: 5
  allow_plaintext: 1
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "tracing by gRPC",
        "
tracing: { otlp_endpoint: 'http://otel.example:4317', sample_ratio: all }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "tracing with credentials in the URL",
        "
tracing: { otlp_endpoint: 'https://CANARY:CANARY@otel.example', sample_ratio: -0.1 }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "tracing with headers over http",
        "
tracing: { otlp_endpoint: 'http://otel.example:4318', headers: { authorization: Bearer CANARY, x: 'y' }, tls: {} }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "tracing with a server name",
        "
tracing: { otlp_endpoint: 'https://otel.example', tls: { server_name: other.example } }
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
    (
        "tracing that is not a mapping",
        "
tracing: http://127.0.0.1:4318
services:
  mail: { upstream: https://a.example, auth: { type: bearer, token: { env: SECRET } } }
",
    ),
];
