//! A token request: its headers and its content, before it is sent.

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::auth::ClientAuthentication;
use super::content_coding;
use crate::config::{OAuth2, RequestFormat};

/// What is sent to an endpoint of the authorization server.
pub(crate) struct PreparedRequest {
    /// All header fields.
    pub(crate) headers: HeaderMap,
    /// Its content, a form or a JSON object.
    pub(crate) content: Zeroizing<String>,
}

impl PreparedRequest {
    /// A request with these fields, with the client's authentication and all that the configuration adds.
    pub(crate) fn new(config: &OAuth2, fields: &[(&str, &str)], client: &ClientAuthentication) -> Self {
        let (content_type, content) = content(config, fields, client.form_fields());
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(content_coding::ACCEPTED));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in &config.request.headers {
            let mut value = HeaderValue::from_str(value.expose()).expect("visible ASCII and spaces");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let ClientAuthentication::Header(value) = client {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        Self { headers, content }
    }
}

/// Content type and content.
fn content(
    config: &OAuth2,
    fields: &[(&str, &str)],
    client: &[(&str, Zeroizing<String>)],
) -> (&'static str, Zeroizing<String>) {
    let client = client.iter().map(|(name, value)| (*name, value.as_str()));
    let more = config.request.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all = fields.iter().copied().chain(client).chain(more);
    match config.request.format {
        RequestFormat::Form => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            ("application/x-www-form-urlencoded", Zeroizing::new(form.extend_pairs(all).finish()))
        }
        RequestFormat::Json => ("application/json", json_object(all)),
    }
}

/// The parameters as members of one object; a repeated one is a list.
fn json_object<'p>(parameters: impl Iterator<Item = (&'p str, &'p str)>) -> Zeroizing<String> {
    let mut object = Map::new();
    for (name, value) in parameters {
        match object.get_mut(name) {
            None => drop(object.insert(name.into(), value.into())),
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
        }
    }
    Zeroizing::new(Value::Object(object).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_content_makes_a_list_of_a_repeated_name() {
        let parameters = [("scope", "read"), ("resource", "a"), ("resource", "b"), ("resource", "c")];
        let object = json_object(parameters.into_iter());
        let object: Value = serde_json::from_str(&object).unwrap();
        assert_eq!(object, serde_json::json!({ "scope": "read", "resource": ["a", "b", "c"] }));
    }
}
