//! The keys of an AWS identity.

use std::sync::Arc;

use http::HeaderValue;

use crate::credential::sensitive;
use crate::secret::{Echoes, Secret};

/// An access key, and the session token if it is a temporary one.
#[derive(Debug)]
pub(in crate::credential) struct AwsKeys {
    pub(super) access_key_id: Secret,
    pub(super) secret_access_key: Secret,
    /// The value of `X-Amz-Security-Token`.
    pub(super) session_token: Option<HeaderValue>,
    /// What is sent and secret: the session token.
    pub(super) echoes: Arc<Echoes>,
}

impl AwsKeys {
    /// Keys. The session token has characters of a header field only.
    pub(in crate::credential) fn new(
        access_key_id: Secret,
        secret_access_key: Secret,
        session_token: Option<&Secret>,
    ) -> Self {
        Self {
            access_key_id,
            secret_access_key,
            session_token: session_token.map(|token| sensitive(token.expose())),
            echoes: Arc::new(Echoes::of(session_token.map(Secret::expose))),
        }
    }

    /// What no message may repeat.
    pub(in crate::credential) fn secrets(&self) -> impl Iterator<Item = &str> {
        [self.secret_access_key.expose()].into_iter().chain(self.token())
    }

    /// The session token.
    pub(super) fn token(&self) -> Option<&str> {
        self.session_token.as_ref().and_then(|token| token.to_str().ok())
    }
}
