//! Tokens that a fleet shares: a token request is made by one process, and the others use what it was issued.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::fleet::{Obtained, Requester, TracedValue};
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::{IssuedToken, TokenResponse};
use crate::refresh::{Cause, Risk, Sharing, Source, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// A source whose tokens are those of the fleet.
pub struct SharedTokens<S> {
    value: TracedValue,
    inner: Requests<S>,
}

/// Makes the token requests.
struct Requests<S>(S);

/// What a record has of a token response.
#[derive(Serialize)]
struct Written<'a> {
    access: Option<&'a str>,
    scope: Option<&'a str>,
    refresh: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    access: Option<Zeroizing<String>>,
    scope: Option<String>,
    refresh: Option<Zeroizing<String>>,
}

impl<S> SharedTokens<S> {
    /// Wraps a source of token responses.
    pub fn new(inner: S, value: TracedValue) -> Self {
        Self { value, inner: Requests(inner) }
    }
}

#[async_trait]
impl<S: TokenSource> Source<TokenResponse> for SharedTokens<S> {
    async fn fetch(&self) -> Result<TokenResponse, SourceError> {
        self.fetch_for(Cause::Due).await
    }

    async fn fetch_for(&self, cause: Cause) -> Result<TokenResponse, SourceError> {
        let taken = self.value.obtain(cause, &self.inner).await?;
        let read = read(&taken.content).ok_or_else(unreadable)?;
        let value =
            read.access.and_then(|token| Secret::new(token.to_string()).ok()).ok_or_else(unreadable)?;
        let access = Ok(IssuedToken { value, expiry: taken.expiry, scope: read.scope });
        Ok(TokenResponse { access, refresh_token: None })
    }

    async fn changed(&self) {
        self.value.shared.changed().await;
    }

    fn risk(&self) -> Option<Arc<Risk>> {
        self.value.shared.risk()
    }

    fn sharing(&self) -> Option<Arc<Sharing>> {
        Some(self.value.shared.sharing().clone())
    }
}

#[async_trait]
impl<S: TokenSource> Requester for Requests<S> {
    async fn request(&self, current: Option<&[u8]>) -> Result<Obtained, SourceError> {
        let refresh_token = match current.map(|current| read(current).ok_or_else(unreadable)).transpose()? {
            Some(Read { refresh: Some(token), .. }) => {
                Some(Secret::new(token.to_string()).map_err(|_| unreadable())?)
            }
            _ => None,
        };
        let TokenResponse { access, refresh_token } = self.0.request_token(refresh_token.as_ref()).await?;
        let issued = access.as_ref().ok();
        let content = written(issued, refresh_token.as_ref());
        let expiry = issued.map(|issued| issued.expiry);
        Ok(Obtained { content, expiry, failure: access.err() })
    }
}

/// The content of the record of a login: a refresh token alone.
pub(crate) fn login(refresh_token: &Secret) -> Zeroizing<Vec<u8>> {
    written(None, Some(refresh_token))
}

/// The refresh token of a record.
pub(crate) fn refresh_token(content: &[u8]) -> Option<Secret> {
    Secret::new(read(content)?.refresh?.to_string()).ok()
}

fn written(issued: Option<&IssuedToken>, refresh_token: Option<&Secret>) -> Zeroizing<Vec<u8>> {
    let written = Written {
        access: issued.map(|issued| issued.value.expose()),
        scope: issued.and_then(|issued| issued.scope.as_deref()),
        refresh: refresh_token.map(Secret::expose),
    };
    Zeroizing::new(serde_json::to_vec(&written).expect("texts are JSON"))
}

fn read(content: &[u8]) -> Option<Read> {
    serde_json::from_slice(content).ok()
}

fn unreadable() -> SourceError {
    SourceError::new(SourceErrorKind::Local, "the token in the shared store has another form than expected")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::refresh::{ClockReading, Expiry};

    #[test]
    fn content_of_a_record_has_token_and_refresh_token() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        let expiry = Expiry::after(ClockReading::now(), Duration::from_secs(9));
        let issued = IssuedToken { value: secret("at"), expiry, scope: Some("a b".into()) };
        let read = read(&written(Some(&issued), Some(&secret("rt")))).unwrap();
        assert_eq!(read.access.as_deref().map(String::as_str), Some("at"));
        assert_eq!(read.refresh.as_deref().map(String::as_str), Some("rt"));
        assert_eq!(read.scope.as_deref(), Some("a b"));
        let read = super::read(&login(&secret("rt"))).unwrap();
        assert!(read.access.is_none() && read.refresh.is_some());
        assert!(super::read(b"{}").unwrap().access.is_none() && super::read(b"[").is_none());
    }
}
