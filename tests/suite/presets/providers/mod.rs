//! The rules of each provider.

mod ai;
mod aws;
mod business;
mod development;
mod identity;
mod messaging;
mod operations;
mod plain;

use super::rules::{Provider, Rule, Signed};

/// Every provider.
pub fn all() -> impl Iterator<Item = &'static Provider> {
    [
        ai::PROVIDERS,
        aws::PROVIDERS,
        business::PROVIDERS,
        development::PROVIDERS,
        identity::PROVIDERS,
        messaging::PROVIDERS,
        operations::PROVIDERS,
        plain::PROVIDERS,
    ]
    .into_iter()
    .flatten()
}

/// The start of every entry: no question, no token endpoint, and 401.
const NONE: Provider = Provider {
    id: "",
    answers: &[],
    secrets: &[],
    host: "",
    target: "/",
    rules: &[],
    token: None,
    app: None,
    method: "GET",
    rejects: (401, r#"{"error":"unauthorized"}"#),
};

/// The start of what is signed: no claims, for an hour at most.
const SIGNED: Signed = Signed { parameter: "", max_lifetime: 3600, key_id: None, claims: &[] };

/// No `Authorization`: the provider takes it for another credential.
const NO_AUTHORIZATION: Rule = Rule::Absent("authorization");
