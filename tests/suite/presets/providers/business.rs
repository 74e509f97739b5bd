//! Shops, customers and accounts.

use super::NONE;
use crate::suite::presets::rules::{Provider, Rule, TokenEndpoint};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "hubspot",
        secrets: &[("token", "pat-na1-sample")],
        host: "api.hubapi.com",
        target: "/account-info/v3/details",
        rules: &[Rule::Field("authorization", "Bearer pat-na1-sample")],
        rejects: (401, r#"{"status":"error","category":"INVALID_AUTHENTICATION"}"#),
        ..NONE
    },
    Provider {
        id: "intercom",
        answers: &[("host", "api.eu.intercom.io")],
        secrets: &[("token", "dG9rOnNhbXBsZQ==")],
        host: "api.eu.intercom.io",
        target: "/me",
        rules: &[Rule::Field("authorization", "Bearer dG9rOnNhbXBsZQ==")],
        rejects: (401, r#"{"type":"error.list","errors":[{"code":"unauthorized"}]}"#),
        ..NONE
    },
    Provider {
        id: "salesforce",
        answers: &[("my_domain", "acme.my.salesforce.com"), ("client_id", "3MVG9.sample")],
        secrets: &[("client_secret", "5E7B.sample")],
        host: "acme.my.salesforce.com",
        target: "/services/data/v60.0/limits",
        rules: &[Rule::Field("authorization", "Bearer 00D5g!AQ.sample")],
        token: Some(TokenEndpoint {
            host: "acme.my.salesforce.com",
            path: "/services/oauth2/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "3MVG9.sample"),
                ("client_secret", "5E7B.sample"),
            ],
            signed: None,
            issues: r#"{"access_token":"00D5g!AQ.sample","instance_url":"https://acme.my.salesforce.com","token_type":"Bearer","issued_at":"1764450000000"}"#,
            rejects: (400, r#"{"error":"invalid_client","error_description":"invalid client credentials"}"#),
        }),
        rejects: (401, r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#),
        ..NONE
    },
    Provider {
        id: "shopify",
        answers: &[("shop", "acme")],
        secrets: &[("access_token", "shpat_sample")],
        host: "acme.myshopify.com",
        target: "/admin/oauth/access_scopes.json",
        rules: &[Rule::Field("x-shopify-access-token", "shpat_sample")],
        rejects: (
            401,
            r#"{"errors":"[API] Invalid API key or access token (unrecognized login or wrong password)"}"#,
        ),
        ..NONE
    },
    Provider {
        id: "shopify-app",
        answers: &[("shop", "acme-dev"), ("client_id", "SHOPIFY-CLIENT")],
        secrets: &[("client_secret", "shpss_sample")],
        host: "acme-dev.myshopify.com",
        target: "/admin/oauth/access_scopes.json",
        rules: &[Rule::Field("x-shopify-access-token", "shpat_of_a_day")],
        token: Some(TokenEndpoint {
            host: "acme-dev.myshopify.com",
            path: "/admin/oauth/access_token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "SHOPIFY-CLIENT"),
                ("client_secret", "shpss_sample"),
            ],
            signed: None,
            issues: r#"{"access_token":"shpat_of_a_day","scope":"read_products","expires_in":86399}"#,
            rejects: (400, r#"{"error":"invalid_client"}"#),
        }),
        rejects: (401, r#"{"errors":"[API] Invalid API key or access token"}"#),
        ..NONE
    },
    Provider {
        id: "stripe",
        secrets: &[("secret_key", "sk_test_sample")],
        host: "api.stripe.com",
        target: "/v1/balance",
        rules: &[Rule::Field("authorization", "Bearer sk_test_sample")],
        rejects: (401, r#"{"error":{"message":"Invalid API Key provided","type":"invalid_request_error"}}"#),
        ..NONE
    },
    Provider {
        id: "xero",
        answers: &[
            ("client_id", "XERO-CLIENT"),
            ("scopes", "accounting.settings.read accounting.contacts.read"),
        ],
        secrets: &[("client_secret", "xero-secret")],
        host: "api.xero.com",
        target: "/api.xro/2.0/Organisation",
        rules: &[Rule::Field("authorization", "Bearer eyJ.xero")],
        token: Some(TokenEndpoint {
            host: "identity.xero.com",
            path: "/connect/token",
            issuer: None,
            basic: Some("XERO-CLIENT:xero-secret"),
            form: &[
                ("grant_type", "client_credentials"),
                ("scope", "accounting.settings.read accounting.contacts.read"),
            ],
            signed: None,
            issues: r#"{"access_token":"eyJ.xero","expires_in":1800,"token_type":"Bearer"}"#,
            rejects: (400, r#"{"error":"invalid_client"}"#),
        }),
        ..NONE
    },
    Provider {
        id: "zendesk",
        answers: &[("subdomain", "acme"), ("email", "agent@acme.example")],
        secrets: &[("api_token", "zendesk-sample")],
        host: "acme.zendesk.com",
        target: "/api/v2/account/settings.json",
        rules: &[Rule::Basic("agent@acme.example/token:zendesk-sample")],
        rejects: (401, r#"{"error":"Couldn't authenticate you"}"#),
        ..NONE
    },
];
