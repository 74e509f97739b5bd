//! Messages and mail.

use super::NONE;
use crate::suite::presets::rules::{Provider, Rule, TokenEndpoint};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "mailgun",
        answers: &[("host", "api.eu.mailgun.net")],
        secrets: &[("api_key", "mailgun-sample")],
        host: "api.eu.mailgun.net",
        target: "/v3/domains?limit=1",
        rules: &[Rule::Basic("api:mailgun-sample")],
        rejects: (401, "Forbidden"),
        ..NONE
    },
    Provider {
        id: "sendgrid",
        secrets: &[("api_key", "SG.sample")],
        host: "api.sendgrid.com",
        target: "/v3/scopes",
        rules: &[Rule::Field("authorization", "Bearer SG.sample")],
        rejects: (401, r#"{"errors":[{"message":"authorization required"}]}"#),
        ..NONE
    },
    Provider {
        id: "slack",
        secrets: &[("token", "xoxb-sample")],
        host: "slack.com",
        target: "/api/auth.test",
        rules: &[Rule::Field("authorization", "Bearer xoxb-sample")],
        rejects: (200, r#"{"ok":false,"error":"invalid_auth"}"#),
        ..NONE
    },
    Provider {
        id: "twilio",
        answers: &[("account_sid", "AC0123456789"), ("key_sid", "SK0123456789")],
        secrets: &[("key_secret", "twilio-sample")],
        host: "api.twilio.com",
        target: "/2010-04-01/Accounts/AC0123456789/Messages.json?PageSize=1",
        rules: &[Rule::Basic("SK0123456789:twilio-sample")],
        rejects: (401, r#"{"code":20003,"message":"Authenticate","status":401}"#),
        ..NONE
    },
    Provider {
        id: "zoom",
        answers: &[("account_id", "ZOOM-ACCOUNT"), ("client_id", "ZOOM-CLIENT")],
        secrets: &[("client_secret", "zoom-secret")],
        host: "api.zoom.us",
        target: "/v2/users?page_size=1",
        rules: &[Rule::Field("authorization", "Bearer eyJ.zoom")],
        token: Some(TokenEndpoint {
            host: "zoom.us",
            path: "/oauth/token",
            issuer: None,
            basic: Some("ZOOM-CLIENT:zoom-secret"),
            form: &[("grant_type", "account_credentials"), ("account_id", "ZOOM-ACCOUNT")],
            signed: None,
            issues: r#"{"access_token":"eyJ.zoom","token_type":"bearer","expires_in":3599,"api_url":"https://api.zoom.us"}"#,
            rejects: (400, r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#),
        }),
        rejects: (401, r#"{"code":124,"message":"Invalid access token."}"#),
        ..NONE
    },
];
