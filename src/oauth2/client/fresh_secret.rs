//! Secrets that are read again for each token request.

use std::fmt::Display;

use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::{Secret, Source};

/// Fetches a secret on a thread for blocking calls: a file may be on a slow disk, and a command takes its time. `key` names it in
/// messages.
///
/// # Errors
///
/// If the source gives no secret. No token request is made then.
pub(crate) async fn read(key: &'static str, source: &Source) -> Result<Secret, SourceError> {
    let reading = source.clone();
    let unreadable = |why: &dyn Display| {
        SourceError::new(SourceErrorKind::Local, format!("{key} ({source:?}) cannot be read: {why}"))
    };
    match tokio::task::spawn_blocking(move || reading.secret()).await {
        Ok(read) => read.map_err(|error| unreadable(&error)),
        Err(error) => Err(unreadable(&error)),
    }
}
