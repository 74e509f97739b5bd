//! The response to a review.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::review::{API_VERSION, KIND};
use crate::inject::Operation;

/// Longest warning, in characters. The API server shows 256 of one, and 4096 of all.
const MAX_WARNING_CHARACTERS: usize = 256;
/// Number of warnings at most.
const MAX_WARNINGS: usize = 10;
/// Longest message of a denial, in characters.
const MAX_MESSAGE_CHARACTERS: usize = 1024;

/// What happens to the object of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is changed by these operations; there may be none.
    Allowed(Vec<Operation>),
    /// It is not created. The status is one of HTTP, and the message is for the user.
    Denied(u16, String),
}

/// The document of a response.
pub(super) fn document(uid: &str, answer: &Answer, warnings: &[String]) -> Value {
    let mut response = json!({ "uid": uid });
    match answer {
        Answer::Allowed(operations) => {
            response["allowed"] = true.into();
            if !operations.is_empty() {
                response["patchType"] = "JSONPatch".into();
                response["patch"] = STANDARD.encode(json!(operations).to_string()).into();
            }
        }
        Answer::Denied(status, message) => {
            response["allowed"] = false.into();
            let message = line(&format!("sidekey: {message}"), MAX_MESSAGE_CHARACTERS);
            response["status"] = json!({ "code": status, "message": message });
        }
    }
    if !warnings.is_empty() {
        let warnings = warnings.iter().take(MAX_WARNINGS);
        let warnings = warnings.map(|text| line(&format!("sidekey: {text}"), MAX_WARNING_CHARACTERS));
        response["warnings"] = warnings.collect();
    }
    json!({ "apiVersion": API_VERSION, "kind": KIND, "response": response })
}

/// A text on one line, shortened. A warning is sent as a header field.
fn line(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn response_has_uid_and_patch_in_base64() {
        let operation = Operation::Add { path: "/spec/x".into(), value: json!(1) };
        let document = document("u-1", &Answer::Allowed(vec![operation]), &[]);
        assert_eq!((&document["apiVersion"], &document["kind"]), (&json!(API_VERSION), &json!(KIND)));
        let response = &document["response"];
        assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(true)));
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        assert_eq!(patch, br#"[{"op":"add","path":"/spec/x","value":1}]"#);
        assert!(response.get("status").is_none() && response.get("warnings").is_none());
    }

    #[test]
    fn response_without_a_patch_has_no_patch_type() {
        let document = document("u", &Answer::Allowed(vec![]), &[]);
        assert_eq!(document["response"], json!({ "uid": "u", "allowed": true }));
    }

    #[test]
    fn denial_and_warnings_name_sidekey_and_are_bounded_lines() {
        let warnings = vec!["two\r\nlines".to_owned(), "x".repeat(5000)];
        let document = document("u", &Answer::Denied(403, "no\nway".into()), &warnings);
        let response = &document["response"];
        assert_eq!(response["status"], json!({ "code": 403, "message": "sidekey: no way" }));
        assert_eq!(response["warnings"][0], "sidekey: two  lines");
        assert_eq!(response["warnings"][1].as_str().unwrap().len(), MAX_WARNING_CHARACTERS);
        let many = super::document("u", &Answer::Allowed(vec![]), &vec!["w".to_owned(); 100]);
        assert_eq!(many["response"]["warnings"].as_array().unwrap().len(), MAX_WARNINGS);
    }
}
