//! Models.

use super::{NO_AUTHORIZATION, NONE};
use crate::suite::presets::rules::{INVALID_CLIENT, Provider, Rule, TokenEndpoint};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "anthropic",
        secrets: &[("api_key", "sk-ant-api03-sample")],
        host: "api.anthropic.com",
        target: "/v1/models",
        rules: &[
            Rule::Field("x-api-key", "sk-ant-api03-sample"),
            Rule::Field("anthropic-version", "2023-06-01"),
            NO_AUTHORIZATION,
        ],
        rejects: (
            401,
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        ),
        ..NONE
    },
    Provider {
        id: "azure-openai",
        answers: &[("resource", "acme")],
        secrets: &[("api_key", "0123456789abcdef0123456789abcdef")],
        host: "acme.openai.azure.com",
        target: "/openai/v1/models",
        rules: &[Rule::Field("api-key", "0123456789abcdef0123456789abcdef"), NO_AUTHORIZATION],
        rejects: (
            401,
            r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#,
        ),
        ..NONE
    },
    Provider {
        id: "azure-openai-entra",
        answers: &[
            ("resource", "acme-entra"),
            ("tenant", "11111111-2222-3333-4444-555555555555"),
            ("client_id", "aaaaaaaa-0000-0000-0000-000000000001"),
        ],
        secrets: &[("client_secret", "sample~secret-1")],
        host: "acme-entra.openai.azure.com",
        target: "/openai/v1/models",
        rules: &[Rule::Field("authorization", "Bearer eyJ.azure.openai"), Rule::Absent("api-key")],
        token: Some(TokenEndpoint {
            host: "login.microsoftonline.com",
            path: "/11111111-2222-3333-4444-555555555555/oauth2/v2.0/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "aaaaaaaa-0000-0000-0000-000000000001"),
                ("client_secret", "sample~secret-1"),
                ("scope", "https://cognitiveservices.azure.com/.default"),
            ],
            signed: None,
            issues: r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ.azure.openai"}"#,
            rejects: INVALID_CLIENT,
        }),
        ..NONE
    },
    Provider {
        id: "cohere",
        secrets: &[("api_key", "co-sample")],
        host: "api.cohere.com",
        target: "/v1/models",
        rules: &[Rule::Field("authorization", "Bearer co-sample")],
        rejects: (401, r#"{"message":"invalid api token"}"#),
        ..NONE
    },
    Provider {
        id: "gemini",
        secrets: &[("api_key", "AIza-sample")],
        host: "generativelanguage.googleapis.com",
        target: "/v1beta/models",
        rules: &[Rule::Field("x-goog-api-key", "AIza-sample"), NO_AUTHORIZATION],
        rejects: (
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}"#,
        ),
        ..NONE
    },
    Provider {
        id: "huggingface",
        secrets: &[("token", "hf_sample")],
        host: "huggingface.co",
        target: "/api/whoami-v2",
        rules: &[Rule::Field("authorization", "Bearer hf_sample")],
        rejects: (401, r#"{"error":"Invalid username or password."}"#),
        ..NONE
    },
    Provider {
        id: "mistral",
        secrets: &[("api_key", "mistral-sample")],
        host: "api.mistral.ai",
        target: "/v1/models",
        rules: &[Rule::Field("authorization", "Bearer mistral-sample")],
        rejects: (401, r#"{"detail":"Unauthorized"}"#),
        ..NONE
    },
    Provider {
        id: "openai",
        secrets: &[("api_key", "sk-proj-sample")],
        host: "api.openai.com",
        target: "/v1/models",
        rules: &[Rule::Field("authorization", "Bearer sk-proj-sample")],
        rejects: (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#),
        ..NONE
    },
];
