//! Reads the token of a service account.

use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use tokio::time::sleep;

use crate::metrics::SharedTokenMetrics;
use crate::oauth2::client::expired::expired;
use crate::oauth2::client::{fresh_secret, own_end};
use crate::oauth2::{IssuedToken, TokenResponse};
use crate::refresh::{ClockReading, Expiry, Source, SourceError, SourceErrorKind, schedule};
use crate::secret;
use crate::secret::Secret;

/// How often the file is compared with the token in use.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a token is used that states no end, as those of older clusters: it is read again before.
const WITHOUT_END: Duration = Duration::from_secs(3600);

/// The token in a file. Reading it counts as a token request.
pub(super) struct ServiceAccountToken {
    file: secret::Source,
    metrics: SharedTokenMetrics,
    /// The hash of the token that was read last.
    last: Mutex<Option<Vec<u8>>>,
}

impl ServiceAccountToken {
    pub(super) fn new(file: secret::Source, metrics: SharedTokenMetrics) -> Self {
        Self { file, metrics, last: Mutex::default() }
    }

    async fn token(&self) -> Result<Secret, SourceError> {
        fresh_secret::read("token_file", &self.file).await
    }

    async fn read(&self) -> Result<TokenResponse, SourceError> {
        let now = ClockReading::now();
        let value = self.token().await?;
        *self.last.lock() = Some(hash(&value));
        let lifetime = lifetime(&value).map_err(|why| {
            SourceError::new(
                SourceErrorKind::Local,
                format!("token_file ({:?}) cannot be used: {why}", self.file),
            )
        })?;
        let expiry = Expiry::after(now, schedule::usable_for(lifetime));
        Ok(TokenResponse { access: Ok(IssuedToken { value, expiry, scope: None }), refresh_token: None })
    }
}

#[async_trait]
impl Source<TokenResponse> for ServiceAccountToken {
    async fn fetch(&self) -> Result<TokenResponse, SourceError> {
        let start = Instant::now();
        let result = self.read().await;
        let reason = result.as_ref().err().map_or("", |error| error.kind.as_str());
        self.metrics.request_finished(reason, start.elapsed());
        result
    }

    /// Waits for another token in the file.
    async fn changed(&self) {
        loop {
            sleep(POLL_INTERVAL).await;
            // A file that cannot be read is read again as the schedule of failures has it.
            let Ok(token) = self.token().await else { continue };
            if self.last.lock().as_ref() != Some(&hash(&token)) {
                return;
            }
        }
    }
}

fn hash(token: &Secret) -> Vec<u8> {
    digest(&SHA256, token.expose().as_bytes()).as_ref().to_vec()
}

/// How long a token is valid from now on.
fn lifetime(token: &Secret) -> Result<Duration, String> {
    let now = SystemTime::now();
    if let Some(why) = expired(token.expose(), now) {
        return Err(why);
    }
    Ok(own_end(token.expose()).map_or(WITHOUT_END, |end| end.duration_since(now).unwrap_or_default()))
}
