//! Temporary keys, which a refresher replaces before they expire.

use std::time::{Duration, SystemTime};

use super::keys::AwsKeys;
use crate::refresh::schedule;
use crate::refresh::{ClockReading, Expiring, Expiry, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// A temporary key as the request path uses it.
#[derive(Debug)]
pub(in crate::credential) struct AwsCredentials {
    pub(super) keys: AwsKeys,
    expiry: Expiry,
}

impl Expiring for AwsCredentials {
    const NAME: &'static str = "temporary key";

    fn expiry(&self) -> Expiry {
        self.expiry
    }
}

impl AwsCredentials {
    /// A key that ends then.
    pub(super) fn until(keys: AwsKeys, expiry: Expiry) -> Self {
        Self { keys, expiry }
    }

    /// The key.
    pub(in crate::credential) fn keys(&self) -> &AwsKeys {
        &self.keys
    }
}

/// A temporary key as it was issued.
pub(super) struct Issued {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: String,
    /// When it ends, by the clock of the issuer (RFC 3339).
    pub(super) expiration: String,
}

impl AwsCredentials {
    /// The key of a response to a request that was sent at `sent`. `date` is the time of the issuer's clock, if the
    /// response has it. `who` names the issuer in messages.
    pub(super) fn issued(
        issued: Issued,
        sent: ClockReading,
        date: Option<SystemTime>,
        who: &str,
    ) -> Result<Self, SourceError> {
        let malformed =
            |what: &str| SourceError::new(SourceErrorKind::Malformed, format!("{who}'s answer {what}"));
        let secret = |text: String, what: &str| {
            let secret = Secret::new(text).ok().filter(|secret| {
                secret.length() > 0 && secret.first_disallowed(|c| c.is_ascii_graphic()).is_none()
            });
            secret.ok_or_else(|| malformed(&format!("has no usable {what}")))
        };
        let end = issued.expiration.parse::<chrono::DateTime<chrono::Utc>>();
        let end = SystemTime::from(end.map_err(|_| malformed("has no end of the key (`Expiration`)"))?);
        let lifetime = end.duration_since(date.unwrap_or_else(SystemTime::now)).unwrap_or(Duration::ZERO);
        let keys = AwsKeys::new(
            secret(issued.access_key_id, "access key id")?,
            secret(issued.secret_access_key, "secret access key")?,
            Some(&secret(issued.session_token, "session token")?),
        );
        Ok(Self { keys, expiry: Expiry::after(sent, schedule::usable_for(lifetime)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(expiration: &str, token: &str) -> Issued {
        Issued {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: "CANARY-secret".into(),
            session_token: token.into(),
            expiration: expiration.into(),
        }
    }

    #[test]
    fn lifetime_counts_by_the_clock_of_the_issuer() {
        let date = httpdate::parse_http_date("Sun, 30 Aug 2015 12:36:00 GMT").ok();
        let key = issued("2015-08-30T13:36:00Z", "CANARY-token");
        let key = AwsCredentials::issued(key, ClockReading::now(), date, "STS").unwrap();
        assert_eq!(key.expiry().lifetime(), Duration::from_secs(3599));
        assert!(!format!("{key:?}").contains("CANARY"), "{key:?}");
    }

    #[test]
    fn answer_without_a_part_of_the_key_is_malformed() {
        for (expiration, token, what) in [
            ("tomorrow", "token", "Expiration"),
            ("2015-08-30T13:36:00Z", "", "session token"),
            ("2015-08-30T13:36:00Z", "to ken", "session token"),
        ] {
            let error = AwsCredentials::issued(issued(expiration, token), ClockReading::now(), None, "STS")
                .unwrap_err();
            assert!(error.kind == SourceErrorKind::Malformed && error.message.contains(what), "{error}");
        }
    }
}
