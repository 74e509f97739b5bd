//! What Sidekey writes into a request. Everything that can fail is done when a credential is built; per request there is
//! only [`Credential::injection`], which cannot send a token that has expired.

mod api_key;
mod basic;
mod bearer;
mod rotation;
mod slot;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::{Auth, Username};
use crate::oauth2::TokenStore;
use crate::refresh::{RefreshDecision, RefreshReason};

use rotation::Overlap;
pub use rotation::Switch;
pub use slot::Slot;

/// One service's credential.
pub enum Credential {
    /// The same for every request: basic, bearer, API key.
    Static {
        /// Where it goes.
        slot: Slot,
        /// What goes there: a field value, or `name=value` for a query or a cookie.
        value: HeaderValue,
    },
    /// Two of them, while the upstream is given the new one.
    Overlap(Box<Overlap>),
    /// The current token of a store that a refresher keeps fresh.
    Token {
        /// The store.
        store: Arc<TokenStore>,
        /// Whether its tokens are bound to a key (RFC 9449).
        is_dpop: bool,
    },
}

/// What to write into one request.
pub enum Injection<'a> {
    /// A header field.
    Header(&'a HeaderName, HeaderValue),
    /// A query parameter, encoded: `name=value`.
    Query(&'a HeaderValue),
    /// A cookie: `name=value`.
    Cookie(&'a HeaderValue),
    /// `Authorization` with a token that is bound to a key, and the proof of that key for this very request (RFC 9449 §7).
    Proven {
        /// `DPoP …`
        authorization: HeaderValue,
        /// `DPoP`
        proof: HeaderValue,
    },
}

/// The request that a credential is for, as far as a proof names it.
pub struct Target<'a> {
    /// Its method.
    pub method: &'a str,
    /// Scheme and authority of the upstream.
    pub origin: &'a str,
    /// The path of the upstream's base URL.
    pub base_path: &'a str,
    /// What stands behind it; a query may follow.
    pub rest: &'a str,
    /// What the upstream has just answered 401 to, where the request is sent once more.
    pub refused: Option<Used>,
    /// It is small enough to be sent once more.
    pub may_try: bool,
}

/// Which credential a request was sent with: tells a late refusal of an old one from one of the current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// The only one there is.
    Fixed,
    /// The token of this generation.
    Token(u64),
    /// The new one of two.
    New,
    /// The new one of two, to see whether the upstream takes it by now.
    Trial,
    /// The previous one of two.
    Previous,
}

/// `Proxy-Authorization` (RFC 9110 §11.7.2) for the proxy of `proxy_url`, where it wants one.
pub fn proxy_authorization(proxy: &crate::config::ConnectProxy) -> Option<HeaderValue> {
    let (username, password) = proxy.credentials.as_ref()?;
    Some(basic::value(username, password.as_ref()))
}

/// The same for the proxy on the way to a token endpoint.
pub fn token_proxy_authorization(proxy: &crate::config::Proxy) -> Option<HeaderValue> {
    let (username, password) = proxy.login.as_ref()?;
    Some(basic::value(&Username::Text(username.clone()), Some(password)))
}

/// The fields that a collector of traces is to know Sidekey by.
pub fn collector_headers(tracing: &crate::config::Tracing) -> HeaderMap {
    let field = |(name, value): &(HeaderName, crate::secret::Secret)| {
        // The configuration has held it to what a header takes.
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((name.clone(), value))
    };
    tracing.headers.iter().filter_map(field).collect()
}

impl Credential {
    /// Builds the credential of a service; `token` gives the store for an OAuth2 configuration.
    pub fn new(auth: &Auth, token: impl FnOnce(&crate::config::OAuth2) -> Arc<TokenStore>) -> Self {
        match auth {
            Auth::Basic { username, password, previous } => {
                let previous = previous.as_ref().map(|previous| basic::value(username, Some(previous)));
                Self::authorization(basic::value(username, password.as_ref()), previous)
            }
            Auth::Bearer { token, previous } => {
                Self::authorization(bearer::value(token), previous.as_ref().map(bearer::value))
            }
            Auth::ApiKey { location, prefix, value: key, previous } => {
                let value = |key| api_key::value(location, prefix, key);
                Self::fixed(api_key::slot(location), value(key), previous.as_ref().map(value))
            }
            Auth::OAuth2(config) => Self::Token { store: token(config), is_dpop: config.dpop.is_some() },
        }
    }

    fn authorization(value: HeaderValue, previous: Option<HeaderValue>) -> Self {
        Self::fixed(Slot::Header(header::AUTHORIZATION), value, previous)
    }

    fn fixed(slot: Slot, value: HeaderValue, previous: Option<HeaderValue>) -> Self {
        match previous {
            None => Self::Static { slot, value },
            Some(previous) => Self::Overlap(Box::new(Overlap::new(slot, value, previous))),
        }
    }

    /// Where the credential goes; what a caller sends there is stripped first.
    pub fn slot(&self) -> &Slot {
        match self {
            Self::Static { slot, .. } => slot,
            Self::Overlap(overlap) => &overlap.slot,
            Self::Token { is_dpop: true, .. } => &Slot::Proven,
            Self::Token { .. } => &Slot::AUTHORIZATION,
        }
    }

    /// What to write now; `None` where there is no usable credential, and so nothing may be forwarded.
    pub fn injection(&self, target: &Target<'_>) -> Option<(Injection<'_>, Used)> {
        match self {
            Self::Static { slot, value } => Some((fixed(slot, value)?, Used::Fixed)),
            Self::Overlap(overlap) => {
                let (value, used) = overlap.choose(target.refused, target.may_try);
                Some((fixed(&overlap.slot, value)?, used))
            }
            Self::Token { store, .. } => {
                let token = store.current()?;
                let token = token.as_ref()?;
                let used = Used::Token(token.generation);
                if let Some(binding) = &token.binding {
                    let path = target.rest.split('?').next().unwrap_or_default();
                    let path = format!("{}{path}", target.base_path);
                    let path = if path.is_empty() { "/" } else { &path };
                    let proof = binding.proof(target.method, target.origin, path);
                    // Without a proof the token is worth nothing: as if there were none.
                    let authorization = token.header.clone();
                    return Some((Injection::Proven { authorization, proof: proof.ok()? }, used));
                }
                Some((Injection::Header(&header::AUTHORIZATION, token.header.clone()), used))
            }
        }
    }

    /// Whether there can be another one where the upstream refuses the one at hand.
    pub fn can_change(&self) -> bool {
        match self {
            Self::Static { .. } => false,
            Self::Overlap(_) | Self::Token { .. } => true,
        }
    }

    /// The upstream refused the credential that was `used`: has another one made where that is possible, and waits for it, for
    /// `limit` at most; `None` where the request cannot be sent again. Whether there is another one now.
    pub async fn renewed(&self, used: Used, limit: Option<Duration>) -> bool {
        if let Self::Overlap(overlap) = self {
            return limit.is_some() && overlap.may_try_other(used);
        }
        let limit = limit.unwrap_or_default();
        let (Self::Token { store, .. }, Used::Token(generation)) = (self, used) else { return false };
        let is_new = match store.refresh_now(RefreshReason::Rejected(generation)) {
            RefreshDecision::AlreadyNewer => true,
            RefreshDecision::Pending(attempt) => store.wait_for(attempt, limit).await,
            RefreshDecision::Throttled => false,
        };
        is_new && store.current().is_some()
    }

    /// The upstream took the credential that was `used`; `is_replay`: after it had refused another one.
    pub fn accepted(&self, used: Used, is_replay: bool) -> Option<Switch> {
        match self {
            Self::Overlap(overlap) => overlap.accepted(used, is_replay),
            Self::Static { .. } | Self::Token { .. } => None,
        }
    }

    /// The upstream refused what it was sent in place of what it had refused before.
    pub fn refused_again(&self) {
        if let Self::Overlap(overlap) = self {
            overlap.refused_both();
        }
    }

    /// Whether requests have the previous one of two secrets; `None` where there is only one.
    pub fn is_previous_in_use(&self) -> Option<bool> {
        match self {
            Self::Overlap(overlap) => Some(overlap.is_previous_in_use()),
            Self::Static { .. } | Self::Token { .. } => None,
        }
    }

    /// Whether answers of the upstream may bring a nonce for the next proof.
    pub fn wants_nonces(&self) -> bool {
        matches!(self, Self::Token { is_dpop: true, .. })
    }

    /// Takes the nonce that an upstream wants to see in the next proof (RFC 9449 §9). `true` where it is a new one.
    pub fn hears_nonce(&self, origin: &str, nonce: &[u8]) -> bool {
        let Some(token) = self.store().and_then(|store| store.current()) else { return false };
        let binding = token.as_ref().and_then(|token| token.binding.as_ref());
        binding.is_some_and(|binding| binding.key().record_nonce(origin, nonce))
    }

    /// Whether there is a usable credential right now.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Static { .. } | Self::Overlap(_) => true,
            Self::Token { store, .. } => store.current().is_some(),
        }
    }

    /// Waits for the very first token; returns at once for any other reason of not being ready.
    pub async fn wait_for_first(&self, limit: Duration) {
        if let Self::Token { store, .. } = self {
            store.wait_for_first(limit).await;
        }
    }

    /// The token store, for readiness and metrics.
    pub fn store(&self) -> Option<&Arc<TokenStore>> {
        match self {
            Self::Static { .. } | Self::Overlap(_) => None,
            Self::Token { store, .. } => Some(store),
        }
    }

    /// In how many seconds a caller should try again, at least 1.
    pub fn retry_after(&self) -> u64 {
        // Rounded up: a caller that comes back on time finds the next token request made.
        self.store().map_or(1, |store| store.status().next_attempt_in().as_secs() + 1)
    }
}

/// A value in its place.
fn fixed<'a>(slot: &'a Slot, value: &'a HeaderValue) -> Option<Injection<'a>> {
    match slot {
        Slot::Header(name) => Some(Injection::Header(name, value.clone())),
        Slot::Query(_) => Some(Injection::Query(value)),
        Slot::Cookie(_) => Some(Injection::Cookie(value)),
        // Only tokens are bound to a key.
        Slot::Proven => None,
    }
}

/// A value built from secrets, which are free of control characters by their type.
fn sensitive(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_bytes(value.as_bytes()).expect("a secret has no control characters");
    value.set_sensitive(true);
    value
}
