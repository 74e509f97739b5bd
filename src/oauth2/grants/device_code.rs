//! `device_code` (RFC 8628): a login for machines without a browser. The person enters a short code on
//! another device while the token endpoint is polled.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use crate::oauth2::client::discovery::LoginEndpoint;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::client::response_members::parse_object;
use crate::oauth2::client::stated_end::number;
use crate::oauth2::sanitize::sanitize;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// Polling interval if the answer has none (RFC 8628 §3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// Permanent increase of the interval after `slow_down` (RFC 8628 §3.5).
const SLOW_DOWN_INCREMENT: Duration = Duration::from_secs(5);
/// Limits on the interval, whatever the answer says.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum time to wait for a login.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// A device authorization response (RFC 8628 §3.2): what the person has to do, and what the token endpoint is
/// polled with.
pub struct DeviceAuthorization {
    /// The code that the person enters.
    pub user_code: String,
    /// The page where the person enters the code.
    pub verification_uri: Url,
    /// A URL of that page with the code in it, if the provider has one.
    pub verification_uri_complete: Option<Url>,
    /// How long the code is valid.
    pub expires_in: Duration,
    device_code: Secret,
    interval: Duration,
}

impl DeviceAuthorization {
    /// Requests a code from the device authorization endpoint (RFC 8628 §3.1).
    pub async fn begin(endpoint: &TokenEndpoint, configured: Option<&Url>) -> Result<Self, SourceError> {
        let url = endpoint.login_endpoint(configured, LoginEndpoint::DeviceAuthorization).await?;
        let scope = endpoint.scope();
        let mut fields = Vec::new();
        if !scope.is_empty() {
            fields.push(("scope", scope));
        }
        let answer = endpoint.post(&url, &fields, parse_object).await;
        answer.and_then(|answer| Self::read(&answer)).map_err(|mut error| {
            error.message = error.message.replace("the token endpoint", "the device authorization endpoint");
            error
        })
    }

    fn read(answer: &Map<String, Value>) -> Result<Self, SourceError> {
        let malformed = |what: &str| {
            let message = format!("the device authorization endpoint's answer has no usable {what}");
            SourceError::new(SourceErrorKind::Malformed, message)
        };
        let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let seconds = |name: &str| {
            let seconds = answer.get(name).and_then(number).filter(|seconds| *seconds > 0.0)?;
            Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT))
        };
        let device_code = text("device_code").and_then(|code| Secret::new(code.to_owned()).ok());
        // Google's first version has another name for it.
        let verification_uri = text("verification_uri").or_else(|| text("verification_url"));
        Ok(Self {
            user_code: text("user_code").map(sanitize).ok_or_else(|| malformed("user_code"))?,
            verification_uri: verification_uri
                .and_then(web_url)
                .ok_or_else(|| malformed("verification_uri"))?,
            verification_uri_complete: text("verification_uri_complete").and_then(web_url),
            expires_in: seconds("expires_in").unwrap_or(MAX_WAIT).min(MAX_WAIT),
            device_code: device_code.ok_or_else(|| malformed("device_code"))?,
            interval: seconds("interval").unwrap_or(DEFAULT_INTERVAL).clamp(MIN_INTERVAL, MAX_INTERVAL),
        })
    }

    /// Polls the token endpoint until the person has decided or the code has expired.
    pub async fn poll_token(&self, endpoint: &TokenEndpoint) -> Result<TokenResponse, SourceError> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", self.device_code.expose()),
        ];
        let end = Instant::now() + self.expires_in;
        let mut interval = self.interval;
        loop {
            if Instant::now() + interval >= end {
                return Err(SourceError::new(
                    SourceErrorKind::Refused,
                    "the code has expired before it was entered",
                ));
            }
            tokio::time::sleep(interval).await;
            match endpoint.request(&fields).await {
                Ok(issued) => return Ok(issued),
                Err(error) => interval = next_interval(interval, &error).ok_or(error)?,
            }
        }
    }
}

/// The interval until the next request (RFC 8628 §3.5); `None` if the error is final.
fn next_interval(interval: Duration, error: &SourceError) -> Option<Duration> {
    let next = match error.code {
        Some(ErrorCode::AuthorizationPending) => interval,
        Some(ErrorCode::SlowDown) => interval + SLOW_DOWN_INCREMENT,
        _ => match error.kind {
            SourceErrorKind::Connect | SourceErrorKind::Timeout | SourceErrorKind::ServerError => {
                interval * 2
            }
            SourceErrorKind::RateLimited => error.retry_after.unwrap_or(interval * 2).max(interval),
            _ => return None,
        },
    };
    Some(next.min(MAX_INTERVAL))
}

/// An HTTP URL that a person may be sent to. It is shown in a terminal and opened in a browser.
fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SourceErrorKind::{Connect, Malformed, Refused, ServerError, Tls};
    use serde_json::json;

    fn read(change: &Value) -> Result<DeviceAuthorization, SourceError> {
        let mut answer = json!({
            "device_code": "CANARY", "user_code": "WDJB-MJHT", "verification_uri": "https://example.com/device",
        });
        answer.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        DeviceAuthorization::read(answer.as_object().unwrap())
    }

    #[test]
    fn device_authorization_is_read_within_limits() {
        let plain = read(&json!({})).unwrap();
        assert_eq!((plain.user_code.as_str(), plain.interval), ("WDJB-MJHT", DEFAULT_INTERVAL));
        assert_eq!(plain.expires_in, MAX_WAIT);
        let seconds = Duration::from_secs;
        for (interval, expected) in [
            (json!(7), seconds(7)),
            (json!("7"), seconds(7)),
            (json!(0.01), seconds(1)),
            (json!(1e300), seconds(60)),
        ] {
            assert_eq!(read(&json!({ "interval": interval })).unwrap().interval, expected);
        }
        assert_eq!(read(&json!({ "expires_in": 120 })).unwrap().expires_in, seconds(120));
        let old = json!({ "verification_uri": null, "verification_url": "https://www.google.com/device" });
        assert_eq!(read(&old).unwrap().verification_uri.as_str(), "https://www.google.com/device");
    }

    #[test]
    fn device_authorization_is_safe_to_print() {
        let device = read(
            &json!({ "user_code": "AB\u{1b}[2J\u{7}", "verification_uri": "https://example.com/\u{1b}[2J" }),
        );
        let device = device.unwrap();
        assert_eq!(device.user_code, "AB?[2J?");
        assert!(!device.verification_uri.as_str().contains('\u{1b}'));
        for uri in ["javascript:alert(1)", "file:///etc/passwd", "example.com", ""] {
            assert!(read(&json!({ "verification_uri": uri })).is_err(), "{uri}");
        }
    }

    #[test]
    fn device_authorization_without_a_part_is_an_error() {
        for name in ["device_code", "user_code", "verification_uri"] {
            let error = read(&json!({ name: 7 })).err().unwrap();
            assert!(error.message.ends_with(name) && !error.message.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn device_polling_slows_down_and_ends_at_a_final_error() {
        let next = |reason, code: Option<&str>| {
            let code = code.map(|code| ErrorCode::read(code, str::to_owned));
            let error = SourceError { code, ..SourceError::new(reason, "") };
            next_interval(Duration::from_secs(5), &error).map(|next| next.as_secs())
        };
        assert_eq!(next(Refused, Some("authorization_pending")), Some(5));
        assert_eq!(next(ServerError, Some("slow_down")), Some(10));
        assert_eq!(next(Connect, None), Some(10));
        assert_eq!(next(ServerError, None), Some(10));
        for code in ["expired_token", "access_denied", "invalid_grant", "invalid_client"] {
            assert_eq!(next(Refused, Some(code)), None);
        }
        assert_eq!((next(Tls, None), next(Malformed, None)), (None, None));
    }
}
