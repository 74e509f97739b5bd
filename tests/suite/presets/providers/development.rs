//! Code, issues and documents.

use super::{NO_AUTHORIZATION, NONE, SIGNED};
use crate::suite::presets::rules::{App, Provider, Rule, Signed};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "airtable",
        secrets: &[("token", "patSample.0123")],
        host: "api.airtable.com",
        target: "/v0/meta/whoami",
        rules: &[Rule::Field("authorization", "Bearer patSample.0123")],
        rejects: (401, r#"{"error":{"type":"AUTHENTICATION_REQUIRED","message":"Authentication required"}}"#),
        ..NONE
    },
    Provider {
        id: "apns",
        answers: &[("team_id", "DEF123GHIJ"), ("key_id", "ABC123DEFG")],
        secrets: &[("private_key", "PRIVATE KEY")],
        host: "api.push.apple.com",
        target: "/3/device/00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0",
        method: "POST",
        rules: &[Rule::SignedToken(Signed {
            key_id: Some("ABC123DEFG"),
            max_lifetime: 0,
            claims: &[("iss", "DEF123GHIJ")],
            ..SIGNED
        })],
        rejects: (403, r#"{"reason":"InvalidProviderToken"}"#),
        ..NONE
    },
    Provider {
        id: "app-store-connect",
        answers: &[("issuer_id", "57246542-96fe-1a63-e053-0824d011072a"), ("key_id", "2X9R4HXF34")],
        secrets: &[("private_key", "PRIVATE KEY")],
        host: "api.appstoreconnect.apple.com",
        target: "/v1/apps?limit=1",
        rules: &[Rule::SignedToken(Signed {
            key_id: Some("2X9R4HXF34"),
            max_lifetime: 20 * 60,
            claims: &[("iss", "57246542-96fe-1a63-e053-0824d011072a"), ("aud", "appstoreconnect-v1")],
            ..SIGNED
        })],
        rejects: (401, r#"{"errors":[{"status":"401","code":"NOT_AUTHORIZED"}]}"#),
        ..NONE
    },
    Provider {
        id: "bitbucket",
        answers: &[("email", "dev@acme.example")],
        secrets: &[("api_token", "ATATT-bitbucket-sample")],
        host: "api.bitbucket.org",
        target: "/2.0/user",
        rules: &[Rule::Basic("dev@acme.example:ATATT-bitbucket-sample")],
        ..NONE
    },
    Provider {
        id: "github",
        secrets: &[("token", "github_pat_sample")],
        host: "api.github.com",
        target: "/user",
        rules: &[Rule::Field("authorization", "Bearer github_pat_sample"), Rule::Present("user-agent")],
        rejects: (401, r#"{"message":"Bad credentials","status":"401"}"#),
        ..NONE
    },
    Provider {
        id: "github-app",
        answers: &[("app_id", "123456"), ("owner", "acme")],
        secrets: &[("private_key", "RSA PRIVATE KEY")],
        host: "api.github.com",
        target: "/installation/repositories?per_page=1",
        rules: &[Rule::Field("authorization", "Bearer ghs_installation-sample"), Rule::Present("user-agent")],
        app: Some(App {
            lookup: "/orgs/acme/installation",
            tokens: "/app/installations/4711/access_tokens",
            signed: Signed { max_lifetime: 10 * 60, claims: &[("iss", "123456")], ..SIGNED },
            issues: "ghs_installation-sample",
        }),
        rejects: (401, r#"{"message":"A JSON web token could not be decoded"}"#),
        ..NONE
    },
    Provider {
        id: "gitlab",
        answers: &[("host", "gitlab.acme.example")],
        secrets: &[("token", "glpat-sample")],
        host: "gitlab.acme.example",
        target: "/api/v4/user",
        rules: &[Rule::Field("private-token", "glpat-sample"), NO_AUTHORIZATION],
        rejects: (401, r#"{"message":"401 Unauthorized"}"#),
        ..NONE
    },
    Provider {
        id: "jira",
        answers: &[("site", "acme"), ("email", "dev@acme.example")],
        secrets: &[("api_token", "ATATT-jira-sample")],
        host: "acme.atlassian.net",
        target: "/rest/api/3/myself",
        rules: &[Rule::Basic("dev@acme.example:ATATT-jira-sample")],
        ..NONE
    },
    Provider {
        id: "linear",
        secrets: &[("api_key", "lin_api_sample")],
        host: "api.linear.app",
        target: "/graphql?query=%7Bviewer%7Bid%7D%7D",
        // Without `Bearer`, which is for OAuth tokens.
        rules: &[Rule::Field("authorization", "lin_api_sample")],
        rejects: (401, r#"{"errors":[{"message":"Authentication required, not authenticated"}]}"#),
        ..NONE
    },
    Provider {
        id: "notion",
        answers: &[("version", "2025-09-03")],
        secrets: &[("token", "ntn_sample")],
        host: "api.notion.com",
        target: "/v1/users/me",
        rules: &[
            Rule::Field("authorization", "Bearer ntn_sample"),
            Rule::Field("notion-version", "2025-09-03"),
        ],
        rejects: (401, r#"{"object":"error","status":401,"code":"unauthorized"}"#),
        ..NONE
    },
];
