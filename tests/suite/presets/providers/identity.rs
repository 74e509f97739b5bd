//! Identity providers, and APIs behind their tokens.

use super::NONE;
use crate::suite::presets::rules::{INVALID_CLIENT, Provider, Rule, Signed, TokenEndpoint};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "auth0",
        answers: &[
            ("upstream", "https://api.auth0.acme.example"),
            ("domain", "acme.eu.auth0.com"),
            ("client_id", "auth0-client"),
            ("audience", "https://api.auth0.acme.example/"),
            ("scopes", "read:orders write:orders"),
        ],
        secrets: &[("client_secret", "auth0-secret")],
        host: "api.auth0.acme.example",
        rules: &[Rule::Field("authorization", "Bearer eyJ.auth0")],
        token: Some(TokenEndpoint {
            host: "acme.eu.auth0.com",
            path: "/oauth/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "auth0-client"),
                ("client_secret", "auth0-secret"),
                ("audience", "https://api.auth0.acme.example/"),
                ("scope", "read:orders write:orders"),
            ],
            signed: None,
            issues: r#"{"access_token":"eyJ.auth0","expires_in":86400,"token_type":"Bearer"}"#,
            rejects: (401, r#"{"error":"access_denied","error_description":"Unauthorized"}"#),
        }),
        ..NONE
    },
    Provider {
        id: "auth0-management",
        answers: &[("domain", "acme-admin.eu.auth0.com"), ("client_id", "auth0-client")],
        secrets: &[("client_secret", "auth0-secret")],
        host: "acme-admin.eu.auth0.com",
        target: "/api/v2/clients?per_page=1",
        rules: &[Rule::Field("authorization", "Bearer eyJ.auth0.management")],
        token: Some(TokenEndpoint {
            host: "acme-admin.eu.auth0.com",
            path: "/oauth/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "auth0-client"),
                ("client_secret", "auth0-secret"),
                ("audience", "https://acme-admin.eu.auth0.com/api/v2/"),
            ],
            signed: None,
            issues: r#"{"access_token":"eyJ.auth0.management","expires_in":86400,"token_type":"Bearer"}"#,
            rejects: (401, r#"{"error":"access_denied","error_description":"Unauthorized"}"#),
        }),
        ..NONE
    },
    Provider {
        id: "entra",
        answers: &[
            ("tenant", "66666666-7777-8888-9999-000000000000"),
            ("client_id", "aaaaaaaa-0000-0000-0000-000000000002"),
        ],
        secrets: &[("client_secret", "sample~secret-2")],
        host: "graph.microsoft.com",
        target: "/v1.0/organization",
        rules: &[Rule::Field("authorization", "Bearer eyJ.graph")],
        token: Some(TokenEndpoint {
            host: "login.microsoftonline.com",
            path: "/66666666-7777-8888-9999-000000000000/oauth2/v2.0/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "aaaaaaaa-0000-0000-0000-000000000002"),
                ("client_secret", "sample~secret-2"),
                ("scope", "https://graph.microsoft.com/.default"),
            ],
            signed: None,
            issues: r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ.graph"}"#,
            rejects: INVALID_CLIENT,
        }),
        rejects: (401, r#"{"error":{"code":"InvalidAuthenticationToken"}}"#),
        ..NONE
    },
    Provider {
        id: "google",
        answers: &[
            ("scopes", "https://www.googleapis.com/auth/drive.readonly"),
            ("key_file", "/run/secrets/google-service-account.json"),
            ("subject", "boss@acme.example"),
        ],
        host: "www.googleapis.com",
        target: "/drive/v3/about?fields=user",
        rules: &[Rule::Field("authorization", "Bearer ya29.sample")],
        token: Some(TokenEndpoint {
            host: "oauth2.googleapis.com",
            path: "/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("scope", "https://www.googleapis.com/auth/drive.readonly"),
            ],
            signed: Some(Signed {
                parameter: "assertion",
                max_lifetime: 3600,
                key_id: Some("0123abcd"),
                claims: &[
                    ("iss", "robot@acme.iam.gserviceaccount.com"),
                    ("sub", "boss@acme.example"),
                    ("aud", "https://oauth2.googleapis.com/token"),
                    ("scope", "https://www.googleapis.com/auth/drive.readonly"),
                ],
            }),
            issues: r#"{"access_token":"ya29.sample","expires_in":3599,"token_type":"Bearer"}"#,
            rejects: (400, r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#),
        }),
        ..NONE
    },
    Provider {
        id: "keycloak",
        answers: &[
            ("upstream", "https://api.keycloak.acme.example"),
            ("issuer", "https://sso.acme.example/realms/main"),
            ("client_id", "orders"),
            ("scopes", "orders.read"),
        ],
        secrets: &[("client_secret", "keycloak-secret")],
        host: "api.keycloak.acme.example",
        rules: &[Rule::Field("authorization", "Bearer eyJ.keycloak")],
        token: Some(TokenEndpoint {
            host: "sso.acme.example",
            path: "/realms/main/protocol/openid-connect/token",
            issuer: Some("https://sso.acme.example/realms/main"),
            basic: Some("orders:keycloak-secret"),
            form: &[("grant_type", "client_credentials"), ("scope", "orders.read")],
            signed: None,
            issues: r#"{"access_token":"eyJ.keycloak","expires_in":300,"refresh_expires_in":0,"token_type":"Bearer"}"#,
            rejects: (
                401,
                r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#,
            ),
        }),
        ..NONE
    },
    Provider {
        id: "keycloak-admin",
        answers: &[("host", "sso-admin.acme.example"), ("realm", "main"), ("client_id", "provisioner")],
        secrets: &[("client_secret", "keycloak-secret")],
        host: "sso-admin.acme.example",
        target: "/admin/realms/main/users/count",
        rules: &[Rule::Field("authorization", "Bearer eyJ.keycloak.admin")],
        token: Some(TokenEndpoint {
            host: "sso-admin.acme.example",
            path: "/realms/main/protocol/openid-connect/token",
            issuer: None,
            basic: Some("provisioner:keycloak-secret"),
            form: &[("grant_type", "client_credentials")],
            signed: None,
            issues: r#"{"access_token":"eyJ.keycloak.admin","expires_in":60,"refresh_expires_in":0,"token_type":"Bearer"}"#,
            rejects: (
                401,
                r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#,
            ),
        }),
        ..NONE
    },
    Provider {
        id: "okta",
        answers: &[
            ("domain", "acme.okta.com"),
            ("client_id", "0oa1sample"),
            ("key_id", "kid-1"),
            ("scopes", "okta.users.read okta.groups.read"),
        ],
        secrets: &[("private_key", "PRIVATE KEY")],
        host: "acme.okta.com",
        target: "/api/v1/users?limit=1",
        rules: &[Rule::Field("authorization", "Bearer eyJ.okta")],
        token: Some(TokenEndpoint {
            host: "acme.okta.com",
            path: "/oauth2/v1/token",
            issuer: None,
            basic: None,
            form: &[
                ("grant_type", "client_credentials"),
                ("client_id", "0oa1sample"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("scope", "okta.users.read okta.groups.read"),
            ],
            signed: Some(Signed {
                parameter: "client_assertion",
                max_lifetime: 3600,
                key_id: Some("kid-1"),
                claims: &[
                    ("iss", "0oa1sample"),
                    ("sub", "0oa1sample"),
                    ("aud", "https://acme.okta.com/oauth2/v1/token"),
                ],
            }),
            issues: r#"{"token_type":"Bearer","expires_in":3600,"access_token":"eyJ.okta","scope":"okta.users.read okta.groups.read"}"#,
            rejects: INVALID_CLIENT,
        }),
        ..NONE
    },
    Provider {
        id: "okta-api-token",
        answers: &[("domain", "acme-token.okta.com")],
        secrets: &[("api_token", "00sample")],
        host: "acme-token.okta.com",
        target: "/api/v1/users/me",
        rules: &[Rule::Field("authorization", "SSWS 00sample")],
        rejects: (401, r#"{"errorCode":"E0000011","errorSummary":"Invalid token provided"}"#),
        ..NONE
    },
];
