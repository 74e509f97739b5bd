//! Messages and mail.

use super::NONE;
use crate::suite::presets::rules::{Provider, Rule};

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
];
