//! What an answer of AWS without a key means.

use crate::credential::exchange::{ServerAnswer, ServerClient, Stated};
use crate::refresh::{SourceError, SourceErrorKind};

/// The error of an answer that is no success.
pub(super) fn refused(client: &ServerClient, answer: &ServerAnswer, stated: &Stated<'_>) -> SourceError {
    // STS could not reach the identity provider (`IDPCommunicationError`), or limits requests (`Throttling`).
    let is_transient = |code: &str| code.starts_with("IDPCommunication") || code.contains("hrottl");
    let kind = match answer.failure_kind() {
        SourceErrorKind::Refused if stated.code.is_some_and(is_transient) => SourceErrorKind::ServerError,
        kind => kind,
    };
    client.refused(kind, answer, stated)
}
