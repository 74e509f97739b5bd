//! The plain kinds: an API that has nothing of its own.

use super::NONE;
use crate::suite::presets::rules::{INVALID_CLIENT, Provider, Rule, Signed, TokenEndpoint};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "api-key",
        answers: &[
            ("upstream", "https://api-key.acme.example"),
            ("header", "X-Acme-Key"),
            ("prefix", "Key "),
        ],
        secrets: &[("key", "key-sample")],
        host: "api-key.acme.example",
        rules: &[Rule::Field("x-acme-key", "Key key-sample")],
        ..NONE
    },
    Provider {
        id: "api-key-query",
        answers: &[("upstream", "https://api-key-query.acme.example"), ("parameter", "appid")],
        secrets: &[("key", "key-sample")],
        host: "api-key-query.acme.example",
        target: "/?appid=key-sample",
        ..NONE
    },
    Provider {
        id: "aws-sigv4",
        answers: &[
            ("upstream", "https://aws-sigv4.acme.example"),
            ("service", "execute-api"),
            ("region", "eu-west-1"),
        ],
        secrets: &[("access_key_id", "AKIASAMPLE"), ("secret_access_key", "aws-secret-sample")],
        host: "aws-sigv4.acme.example",
        rules: &[Rule::AwsSignature("AKIASAMPLE", "aws-secret-sample", "eu-west-1/execute-api")],
        rejects: (403, r#"{"message":"The request signature we calculated does not match"}"#),
        ..NONE
    },
    Provider {
        id: "basic",
        answers: &[("upstream", "https://basic.acme.example"), ("username", "svc-orders")],
        secrets: &[("password", "pass word: sample")],
        host: "basic.acme.example",
        rules: &[Rule::Basic("svc-orders:pass word: sample")],
        ..NONE
    },
    Provider {
        id: "bearer",
        answers: &[("upstream", "https://bearer.acme.example")],
        secrets: &[("token", "token-sample")],
        host: "bearer.acme.example",
        rules: &[Rule::Field("authorization", "Bearer token-sample")],
        ..NONE
    },
    Provider {
        id: "hmac",
        answers: &[
            ("upstream", "https://hmac.acme.example"),
            ("header", "X-Signature"),
            ("timestamp_header", "X-Timestamp"),
        ],
        secrets: &[("key", "hmac-sample")],
        host: "hmac.acme.example",
        rules: &[Rule::Hmac("hmac-sample")],
        ..NONE
    },
    Provider {
        id: "oauth2-client-credentials",
        answers: &[
            ("upstream", "https://client-credentials.acme.example"),
            ("token_url", "https://login-client-credentials.acme.example/token"),
            ("client_id", "client-sample"),
            ("scopes", "read write"),
            ("audience", "orders"),
        ],
        secrets: &[("client_secret", "secret-sample")],
        host: "client-credentials.acme.example",
        rules: &[Rule::Field("authorization", "Bearer issued-1")],
        token: Some(TokenEndpoint {
            host: "login-client-credentials.acme.example",
            path: "/token",
            issuer: None,
            basic: Some("client-sample:secret-sample"),
            form: &[("grant_type", "client_credentials"), ("scope", "read write"), ("audience", "orders")],
            signed: None,
            issues: r#"{"access_token":"issued-1","expires_in":3600,"token_type":"Bearer"}"#,
            rejects: INVALID_CLIENT,
        }),
        ..NONE
    },
    Provider {
        id: "oauth2-jwt-bearer",
        answers: &[
            ("upstream", "https://jwt-bearer.acme.example"),
            ("token_url", "https://login-jwt-bearer.acme.example/token"),
            ("issuer", "client-sample"),
            ("subject", "robot@acme.example"),
            ("audience", "https://login-jwt-bearer.acme.example"),
            ("scopes", "read write"),
        ],
        secrets: &[("private_key", "PRIVATE KEY")],
        host: "jwt-bearer.acme.example",
        rules: &[Rule::Field("authorization", "Bearer issued-2")],
        token: Some(TokenEndpoint {
            host: "login-jwt-bearer.acme.example",
            path: "/token",
            issuer: None,
            basic: None,
            form: &[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("scope", "read write")],
            signed: Some(Signed {
                parameter: "assertion",
                max_lifetime: 3600,
                key_id: None,
                claims: &[
                    ("iss", "client-sample"),
                    ("sub", "robot@acme.example"),
                    ("aud", "https://login-jwt-bearer.acme.example"),
                ],
            }),
            issues: r#"{"access_token":"issued-2","expires_in":3600,"token_type":"Bearer"}"#,
            rejects: (400, r#"{"error":"invalid_grant"}"#),
        }),
        ..NONE
    },
    Provider {
        id: "oauth2-password",
        answers: &[
            ("upstream", "https://password.acme.example"),
            ("token_url", "https://login-password.acme.example/token"),
            ("client_id", "client-sample"),
            ("username", "robot"),
            ("scopes", "read write"),
        ],
        secrets: &[("client_secret", "secret-sample"), ("password", "password-sample")],
        host: "password.acme.example",
        rules: &[Rule::Field("authorization", "Bearer issued-3")],
        token: Some(TokenEndpoint {
            host: "login-password.acme.example",
            path: "/token",
            issuer: None,
            basic: Some("client-sample:secret-sample"),
            form: &[
                ("grant_type", "password"),
                ("username", "robot"),
                ("password", "password-sample"),
                ("scope", "read write"),
            ],
            signed: None,
            issues: r#"{"access_token":"issued-3","expires_in":3600,"token_type":"Bearer"}"#,
            rejects: (400, r#"{"error":"invalid_grant"}"#),
        }),
        ..NONE
    },
];
