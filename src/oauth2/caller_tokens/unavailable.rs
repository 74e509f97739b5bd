//! Why there is no token for a caller.

use std::time::Duration;

use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};

/// Why there is no token for a caller. Nothing in it is of the request or of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The token endpoint does not accept the token of the caller, or that has expired.
    #[error("the token endpoint refuses the caller's token")]
    Refused,
    /// The token endpoint gives no token now.
    #[error("the token endpoint gives no token for the caller")]
    Failing {
        /// The time after which a caller should retry.
        retry_after: Duration,
    },
    /// Too many token requests wait.
    #[error("too many callers wait for a token")]
    Overloaded,
}

/// Whether a failed token request is the fault of the caller's token. RFC 8693 §2.2.2 and RFC 7523 §3.1 have other codes for the same;
/// the codes about the client and about what it asks for are those of RFC 6749 §5.2 and RFC 8707 §2.
pub(super) fn is_of_subject(error: &SourceError) -> bool {
    let is_of_client = matches!(
        error.code,
        None | Some(
            ErrorCode::InvalidClient
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::InvalidScope
                | ErrorCode::InvalidTarget
                | ErrorCode::InvalidDpopProof
                | ErrorCode::UseDpopNonce
        )
    );
    error.kind == SourceErrorKind::Refused && !is_of_client
}

/// The length of a word that may be a token.
const TOKEN_LENGTH: usize = 20;

/// A failed token request as it may be shown. An endpoint may repeat the token of any caller, and only the one that was sent is known
/// here: so no word of an answer is shown that is as long as a token.
pub(crate) fn without_tokens(mut error: SourceError) -> SourceError {
    if error.status.is_none() {
        return error;
    }
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%".contains(c);
    let mut shown = String::with_capacity(error.message.len());
    let mut rest = error.message.as_str();
    while !rest.is_empty() {
        let word = rest.find(|c| !is_of_token(c)).unwrap_or(rest.len());
        shown.push_str(if word < TOKEN_LENGTH { &rest[..word] } else { "****" });
        let next = rest[word..].find(is_of_token).map_or(rest.len(), |gap| word + gap);
        shown.push_str(&rest[word..next]);
        rest = &rest[next..];
    }
    error.message = shown;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_of_an_answer_that_may_be_a_token_is_not_shown() {
        let error = |message: &str, status| SourceError {
            status,
            ..SourceError::new(SourceErrorKind::ServerError, message)
        };
        let message =
            "it answered 400 with error x: \u{e4}, no (eyJhbGciOiJub25lIn0.e30.) client_secret_basic";
        let expected = "it answered 400 with error x: \u{e4}, no (****) client_secret_basic";
        let shown = |message, status| without_tokens(error(message, status)).message;
        assert_eq!(shown(message, Some(400)), expected);
        let own = "https://login.example.com/token: refused";
        assert_eq!(shown(own, None), own);
        assert_eq!(shown("", Some(500)), "");
    }

    #[test]
    fn refusal_of_the_subject_is_told_from_one_of_the_client() {
        let refused = |code| SourceError { code, ..SourceError::new(SourceErrorKind::Refused, "no") };
        for code in [
            ErrorCode::InvalidGrant,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidToken,
            ErrorCode::AccessDenied,
            ErrorCode::Other("subject_expired".into()),
        ] {
            assert!(is_of_subject(&refused(Some(code.clone()))), "{code:?}");
        }
        for code in [None, Some(ErrorCode::InvalidClient), Some(ErrorCode::InvalidTarget)] {
            assert!(!is_of_subject(&refused(code.clone())), "{code:?}");
        }
        let down = SourceError {
            code: Some(ErrorCode::InvalidGrant),
            ..SourceError::new(SourceErrorKind::ServerError, "no")
        };
        assert!(!is_of_subject(&down));
    }
}
