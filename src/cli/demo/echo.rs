//! The demo's upstream: responds with what it received, with credentials shortened.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};

/// Echoes every request.
pub(super) fn router() -> Router {
    Router::new().fallback(echo)
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let mut shown = Map::new();
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match name.as_str() {
            "authorization" => match value.split_once(' ') {
                Some((scheme, credential)) => format!("{scheme} {}", shortened(credential)),
                None => shortened(&value),
            },
            "x-api-key" => shortened(&value),
            "cookie" => parameters(&value, "; "),
            _ => value.into_owned(),
        };
        shown.insert(name.to_string(), value.into());
    }
    Json(json!({
        "received": {
            "method": method.as_str(),
            "path": uri.path(),
            "query": uri.query().map(|query| parameters(query, "&")),
            "headers": shown,
            "body_bytes": body.len(),
        }
    }))
}

/// Shortens the values of `name=value` pairs that are long enough to be a key.
fn parameters(text: &str, separator: &str) -> String {
    let shorten = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if value.len() > 12 => format!("{name}={}", shortened(value)),
        _ => pair.to_owned(),
    };
    text.split(separator).map(shorten).collect::<Vec<_>>().join(separator)
}

/// The first characters: enough to recognise, too little to use.
fn shortened(credential: &str) -> String {
    let shown: String = credential.chars().take(6).collect();
    format!("{shown}… ({} characters)", credential.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_credential_is_recognisable_and_useless() {
        assert_eq!(shortened("correct-horse"), "correc… (13 characters)");
        assert_eq!(parameters("a=1&key=demo-query-key&b", "&"), "a=1&key=demo-q… (14 characters)&b");
    }
}
