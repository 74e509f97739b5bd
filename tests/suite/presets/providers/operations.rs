//! Clouds, monitoring, search and data.

use super::{NO_AUTHORIZATION, NONE, SIGNED};
use crate::suite::presets::rules::{Provider, Rule, Signed};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "algolia",
        answers: &[("application_id", "LATENCY")],
        secrets: &[("api_key", "algolia-sample")],
        host: "latency.algolia.net",
        target: "/1/indexes",
        rules: &[
            Rule::Field("x-algolia-application-id", "LATENCY"),
            Rule::Field("x-algolia-api-key", "algolia-sample"),
        ],
        rejects: (403, r#"{"message":"Invalid Application-ID or API key","status":403}"#),
        ..NONE
    },
    Provider {
        id: "cloudflare",
        secrets: &[("token", "cloudflare-sample")],
        host: "api.cloudflare.com",
        target: "/client/v4/user/tokens/verify",
        rules: &[Rule::Field("authorization", "Bearer cloudflare-sample")],
        rejects: (401, r#"{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}"#),
        ..NONE
    },
    Provider {
        id: "datadog",
        answers: &[("site", "datadoghq.eu")],
        secrets: &[("api_key", "datadog-api-sample"), ("application_key", "datadog-app-sample")],
        host: "api.datadoghq.eu",
        target: "/api/v2/validate_keys",
        rules: &[
            Rule::Field("dd-api-key", "datadog-api-sample"),
            Rule::Field("dd-application-key", "datadog-app-sample"),
            NO_AUTHORIZATION,
        ],
        rejects: (403, r#"{"errors":["Forbidden"]}"#),
        ..NONE
    },
    Provider {
        id: "digitalocean",
        secrets: &[("token", "dop_v1_sample")],
        host: "api.digitalocean.com",
        target: "/v2/account",
        rules: &[Rule::Field("authorization", "Bearer dop_v1_sample")],
        rejects: (401, r#"{"id":"Unauthorized","message":"Unable to authenticate you"}"#),
        ..NONE
    },
    Provider {
        id: "elastic",
        answers: &[("upstream", "https://search.acme.example")],
        secrets: &[("api_key", "aWQ6a2V5LXNhbXBsZQ==")],
        host: "search.acme.example",
        target: "/_security/_authenticate",
        rules: &[Rule::Field("authorization", "ApiKey aWQ6a2V5LXNhbXBsZQ==")],
        rejects: (401, r#"{"error":{"type":"security_exception"},"status":401}"#),
        ..NONE
    },
    Provider {
        id: "grafana",
        answers: &[("upstream", "https://acme.grafana.net")],
        secrets: &[("token", "glsa_sample")],
        host: "acme.grafana.net",
        target: "/api/search?limit=1",
        rules: &[Rule::Field("authorization", "Bearer glsa_sample")],
        rejects: (401, r#"{"message":"Invalid API key"}"#),
        ..NONE
    },
    Provider {
        id: "newrelic",
        answers: &[("host", "api.eu.newrelic.com")],
        secrets: &[("user_key", "NRAK-SAMPLE")],
        host: "api.eu.newrelic.com",
        target: "/v2/applications.json",
        rules: &[Rule::Field("api-key", "NRAK-SAMPLE")],
        rejects: (401, r#"{"error":{"title":"The API key provided is invalid"}}"#),
        ..NONE
    },
    Provider {
        id: "pagerduty",
        secrets: &[("api_key", "pagerduty-sample")],
        host: "api.pagerduty.com",
        target: "/abilities",
        rules: &[Rule::Field("authorization", "Token token=pagerduty-sample")],
        ..NONE
    },
    Provider {
        id: "snowflake",
        answers: &[("host", "myorg-myaccount.snowflakecomputing.com")],
        secrets: &[("token", "snowflake-pat-sample")],
        host: "myorg-myaccount.snowflakecomputing.com",
        target: "/api/v2/databases",
        rules: &[
            Rule::Field("authorization", "Bearer snowflake-pat-sample"),
            Rule::Field("x-snowflake-authorization-token-type", "PROGRAMMATIC_ACCESS_TOKEN"),
            Rule::Present("user-agent"),
        ],
        rejects: (401, r#"{"code":"390144","message":"Programmatic access token is invalid."}"#),
        ..NONE
    },
    Provider {
        id: "snowflake-key-pair",
        answers: &[
            ("host", "myorg-other.snowflakecomputing.com"),
            ("account", "MYORG-OTHER"),
            ("user", "SVC_ORDERS"),
        ],
        secrets: &[("private_key", "PRIVATE KEY")],
        host: "myorg-other.snowflakecomputing.com",
        target: "/api/v2/databases",
        rules: &[
            Rule::SignedToken(Signed {
                claims: &[("iss", "MYORG-OTHER.SVC_ORDERS.SHA256:{key}"), ("sub", "MYORG-OTHER.SVC_ORDERS")],
                ..SIGNED
            }),
            Rule::Field("x-snowflake-authorization-token-type", "KEYPAIR_JWT"),
        ],
        rejects: (401, r#"{"code":"390144","message":"JWT token is invalid."}"#),
        ..NONE
    },
];
