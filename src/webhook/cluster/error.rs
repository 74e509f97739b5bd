//! Why a call of the API failed.

use http::Method;
use serde_json::Value;

use crate::oauth2::sanitize;
use crate::refresh::SourceError;

/// Why a call of the API failed. The text contains nothing of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// Another process has written the object since it was read.
    #[error("{what}: another process has changed it")]
    Conflict {
        /// The object, such as `secret sidekey/sidekey-webhook-tls`.
        what: String,
    },
    /// The API server rejects the request.
    #[error("{what}: the API server answers {status}: {message}")]
    Rejected {
        /// The object.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// There is no usable answer.
    #[error("{what}: {message}")]
    Failed {
        /// The object.
        what: String,
        /// Why.
        message: String,
    },
}

impl ApiError {
    /// The error of an answer with this status and body.
    pub(super) fn of_answer(what: &str, method: &Method, status: u16, body: &[u8]) -> Self {
        let what = what.to_owned();
        // An update or a creation gets 409, and a JSON patch whose `test` fails gets 422. For the former two,
        // 422 means that the object is invalid.
        if status == 409 || (status == 422 && method == Method::PATCH) {
            return Self::Conflict { what };
        }
        // A `Status` of the API (meta/v1), whose message names user, verb and object.
        let message = serde_json::from_slice::<Value>(body).ok();
        let message = message.as_ref().and_then(|status| status["message"].as_str()).unwrap_or("no message");
        Self::Rejected { what, status, message: sanitize(message) }
    }

    /// The error of a call without an answer.
    pub(super) fn failed(what: &str, message: impl Into<String>) -> Self {
        Self::Failed { what: what.to_owned(), message: message.into() }
    }

    /// The error of the HTTP client.
    pub(super) fn of_client(what: &str, error: &SourceError) -> Self {
        Self::failed(what, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejection_has_the_message_of_the_api_server() {
        let of = |method: &Method, status, body: &str| {
            ApiError::of_answer("secret a/b", method, status, body.as_bytes()).to_string()
        };
        let status = r#"{"kind":"Status","message":"secrets \"b\" is forbidden\n"}"#;
        assert_eq!(
            of(&Method::GET, 403, status),
            "secret a/b: the API server answers 403: secrets \"b\" is forbidden?"
        );
        assert_eq!(of(&Method::GET, 500, "<html>"), "secret a/b: the API server answers 500: no message");
        let conflict = "secret a/b: another process has changed it";
        for (method, status) in [(&Method::PUT, 409), (&Method::POST, 409), (&Method::PATCH, 422)] {
            assert_eq!(of(method, status, "{}"), conflict);
        }
        assert_eq!(of(&Method::PUT, 422, "{}"), "secret a/b: the API server answers 422: no message");
    }
}
