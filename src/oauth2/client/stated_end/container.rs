//! Objects in an answer: which ones are about the access token, and which ones are a point in time.

use serde_json::{Map, Value};

use super::names::plain;

/// Names of objects that state something of the access token, without case and separators. Others, such as
/// `refresh_token`, `user` or `subscription`, have ends of something else.
const NAMES: [&str; 32] = [
    "access",
    "accesstoken",
    "accesstokeninfo",
    "attributes",
    "auth",
    "authentication",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "body",
    "credential",
    "credentials",
    "data",
    "info",
    "jwt",
    "meta",
    "metadata",
    "oauth",
    "oauth2",
    "oauthtoken",
    "payload",
    "response",
    "result",
    "results",
    "token",
    "tokendata",
    "tokendetails",
    "tokeninfo",
    "tokenmetadata",
    "tokenresponse",
    "tokens",
];

/// Members of an object that is a point in time: as PHP, `MongoDB`, `Firestore` and Protobuf write it.
const TIMES: [&str; 4] = ["date", "$date", "_seconds", "seconds"];

/// Names of members that are an access token.
const TOKENS: [&str; 2] = ["accesstoken", "token"];

/// Whether an object of this name is about an access token.
pub(in crate::oauth2::client) fn is_container(name: &str) -> bool {
    NAMES.contains(&plain(name).as_str())
}

/// Whether the object `members`, which has this name, is about the access token `token`: there is no other
/// token in it.
pub(super) fn is_about_token(name: &str, members: &Map<String, Value>, token: &str) -> bool {
    let is_other = |(name, value): (&String, &Value)| {
        TOKENS.contains(&plain(name).as_str()) && value.as_str().is_some_and(|value| !value.contains(token))
    };
    is_container(name) && !members.iter().any(is_other)
}

/// The point in time that an object is, or the value itself.
pub(super) fn time_in(value: &Value) -> &Value {
    let Value::Object(members) = value else { return value };
    TIMES.into_iter().find_map(|name| members.get(name)).unwrap_or(value)
}
