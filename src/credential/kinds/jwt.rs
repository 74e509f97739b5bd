//! `type: jwt`: a token that Sidekey signs itself (RFC 7519, RFC 7515), and replaces before it expires. Snowflake, Apple and Zoom
//! take such tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value as Json, json};

use crate::config::auth::placement;
use crate::config::auth::placement::Placement;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::reader::{duration, secret};
use crate::config::{
    JSON_OBJECT, KEY_ID, PRIVATE_KEY, SIGNING_ALG, read_json_object, read_signing_alg, read_text,
};
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, Token,
    UpstreamErrors, store_or_new,
};
use crate::oauth2::source::access_token_source::AccessTokenSource;
use crate::oauth2::{AccessToken, IssuedToken, TokenResponse, TokenSource, jws};
use crate::refresh::{ClockReading, Expiry, Source, SourceError, SourceErrorKind};
use crate::secret::{Algorithm, Secret, SigningKey};

/// The kind `jwt`.
pub struct Jwt;

/// Default of `lifetime`: longer than a request takes, and accepted by everybody.
const LIFETIME: Duration = Duration::from_secs(600);
/// Longest `lifetime`.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Longest `issued_at_backdate`.
const MAX_BACKDATE: Duration = Duration::from_secs(300);
/// Default of `reuse.min`.
const MIN_REUSE: Duration = Duration::from_secs(10);
/// In a claim: the fingerprint of the public key, as Snowflake writes it.
const FINGERPRINT: &str = "{public_key_sha256}";

/// The settings of a token that is signed here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The signing key.
    pub key: SigningKey,
    /// `kid`
    pub key_id: Option<String>,
    /// Further fields of the JOSE header.
    pub headers: Map<String, Json>,
    /// Claims.
    pub claims: Map<String, Json>,
    /// Time from `iat` to `exp`, in whole seconds.
    pub lifetime: Duration,
    /// Whether the token has `exp`.
    pub has_expiry: bool,
    /// How far `iat` lies in the past; `None`: a quarter of the lifetime, a minute at most.
    pub backdate: Option<Duration>,
    /// A token that the upstream rejects is replaced no earlier.
    pub min_reuse: Duration,
    /// A token is used no longer.
    pub max_reuse: Option<Duration>,
    /// Where the token goes.
    pub token: Placement,
}

/// The names of claims without their values, because a value may be secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("key", &self.key)
            .field("key_id", &self.key_id)
            .field("headers", &self.headers.keys())
            .field("claims", &self.claims.keys())
            .field("lifetime", &self.lifetime)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

const REUSE: Keys = &[
    Key::optional("min", DURATION, "A token that the upstream rejects is replaced no earlier.").or("10s"),
    Key::optional("max", DURATION, "A token is used no longer. Default: until it expires."),
];

impl Kind for Jwt {
    const NAME: &'static str = "jwt";
    const KEYS: Keys = &[
        PRIVATE_KEY,
        Key::depends("secret", SECRET, "A shared secret in place of `private_key` (HS256, HS384, HS512)."),
        SIGNING_ALG,
        KEY_ID,
        Key::optional("claims", JSON_OBJECT, "Claims, such as `iss`, `sub` and `aud`."),
        Key::optional("headers", JSON_OBJECT, "Further fields of the JOSE header."),
        Key::optional("lifetime", DURATION, "From `iat` to `exp`, up to 24h.").or("10m"),
        Key::optional("expiry_claim", Format::Bool, "The token has `exp`.").or("true"),
        Key::optional(
            "issued_at_backdate",
            DURATION,
            "How far `iat` lies in the past, up to 5m. Default: a quarter of `lifetime`, 1m at most.",
        ),
        Key::optional("reuse", Format::Keys(&[REUSE]), "How long one token is used."),
        Key::optional(
            "token",
            placement::TOKEN,
            "Where the token goes. Default: a bearer token in `Authorization`.",
        ),
    ];
    /// Of Snowflake, and of Apple's push notifications.
    const UPSTREAM_ERRORS: UpstreamErrors = &[
        (
            "390144",
            "Snowflake finds no such user with such a key. `iss` and `sub` have account and user in capital letters, the account with \
             `-` in place of `.` and without its region. `DESC USER` shows `RSA_PUBLIC_KEY_FP`, which is the end of `iss`. `lifetime` \
             is an hour at most.",
        ),
        (
            "InvalidProviderToken",
            "`private_key`, `key_id` and the team in `iss` do not belong together, or the key was revoked.",
        ),
        (
            "ExpiredProviderToken",
            "Apple accepts a token for an hour: set `reuse: { max: 55m }`, and check this machine's clock.",
        ),
        (
            "TooManyProviderTokenUpdates",
            "Apple accepts a new token once in 20 minutes: several processes must share it (`share: true`).",
        ),
    ];
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        read(mapping)
    }

    fn owned(settings: &Settings) -> Owned {
        Owned::at(&settings.token)
    }

    fn unshareable(_: &Settings) -> Option<&'static str> {
        None
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let minted = Minted(settings.clone());
        let source: Arc<dyn Source<AccessToken>> =
            match context.fleet_value("jwt", settings, settings.min_reuse) {
                None => Arc::new(minted),
                Some(shared) => {
                    let source = context.shared(minted, shared);
                    Arc::new(AccessTokenSource::new(source, None, settings.token.clone(), Arc::default()))
                }
            };
        Ok(Some(Refresh::new::<AccessToken>(source, store_or_new(reuse, settings.min_reuse))))
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &settings.token))
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scheme = settings.token.scheme().and_then(|scheme| rejection.of_scheme(scheme));
        let key = match &settings.key_id {
            Some(_) => {
                "Is `key_id` the key whose public part is registered there, and `private_key` its private part?"
            }
            None => "Is the public part of the key registered there? Some APIs find it by `key_id`.",
        };
        let claims = if settings.has_expiry {
            "Compare `iss`, `sub`, `aud` and the longest lifetime that the API allows with `claims` and `lifetime`."
        } else {
            "Compare `iss`, `sub` and `aud` with `claims`. Some APIs require `exp`: leave out `expiry_claim: false`."
        };
        let others = [
            key,
            claims,
            "If a clock is wrong, a token counts as expired or as not yet valid: compare `iat` and `exp` with the time.",
        ];
        scheme.into_iter().chain(others.map(str::to_owned)).collect()
    }
}

fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
    let (private_key, shared) = (mapping.optional("private_key"), mapping.optional("secret"));
    let algorithms: &[Algorithm] =
        if shared.is_some() { &Algorithm::SYMMETRIC } else { &Algorithm::ASYMMETRIC };
    let algorithm = read_signing_alg(mapping, algorithms);
    let key_id = read_text(mapping, "key_id");
    let claims = mapping.optional("claims").and_then(|value| read_json_object(&value, &["iat", "exp"]));
    let headers = mapping.optional("headers").and_then(|value| read_json_object(&value, &["alg", "kid"]));
    let lifetime = mapping.optional("lifetime").and_then(|value| up_to(&value, MAX_LIFETIME, "24h"));
    let has_expiry = mapping.optional("expiry_claim").and_then(|value| value.boolean());
    let backdate = mapping
        .optional("issued_at_backdate")
        .map(|value| whole_seconds(&value, duration::any(&value)?, MAX_BACKDATE, "5m"));
    let reuse = mapping.optional("reuse").map(|value| reuse(&value));
    let token = Placement::of_token(mapping);
    let key = match (private_key, shared) {
        (Some(value), None) => secret::signing_key(&value, algorithm),
        (None, Some(value)) => {
            let secret = secret::read(&value);
            secret.map(|secret| SigningKey::shared(&secret, algorithm.unwrap_or(Algorithm::Hs256)))
        }
        (Some(_), Some(value)) => {
            value.error("both `private_key` and `secret` are set; a token is signed with one of them");
            None
        }
        (None, None) => {
            mapping.value().error("`private_key` or `secret` is required");
            None
        }
    };
    let lifetime = lifetime.unwrap_or(LIFETIME);
    let (min_reuse, max_reuse) = reuse.unwrap_or(Some((MIN_REUSE, None)))?;
    let backdate = backdate.map_or(Some(None), |read| read.map(Some))?;
    if backdate.is_some_and(|backdate| backdate >= lifetime) {
        mapping
            .value()
            .error("`issued_at_backdate` must be shorter than `lifetime`: the token would be expired");
        return None;
    }
    let mut claims = claims.unwrap_or_default();
    let key = key?;
    if !fill_in_fingerprint(&mut claims, &key) {
        mapping.value().error("`{public_key_sha256}` in `claims` has no meaning for a shared secret");
        return None;
    }
    let (headers, has_expiry) = (headers.unwrap_or_default(), has_expiry.unwrap_or(true));
    let token = token?;
    Some(Settings {
        key,
        key_id,
        headers,
        claims,
        lifetime,
        has_expiry,
        backdate,
        min_reuse,
        max_reuse,
        token,
    })
}

fn up_to(value: &Value<'_>, max: Duration, text: &str) -> Option<Duration> {
    whole_seconds(value, duration::positive(value)?, max, text)
}

/// The duration that was read, if it is in whole seconds and at most `max`, which is written `text`.
fn whole_seconds(value: &Value<'_>, read: Duration, max: Duration, text: &str) -> Option<Duration> {
    if read > max || read.subsec_nanos() > 0 {
        value.error(format!("a number of whole seconds, at most `{text}`"));
        return None;
    }
    Some(read)
}

fn reuse(value: &Value<'_>) -> Option<(Duration, Option<Duration>)> {
    let mut mapping = value.mapping()?;
    let min = mapping.optional("min").map(|value| duration::any(&value));
    let max = mapping.optional("max").map(|value| up_to(&value, MAX_LIFETIME, "24h"));
    mapping.reject_unknown_keys();
    let min = min.unwrap_or(Some(MIN_REUSE))?;
    let max = max.map_or(Some(None), |read| read.map(Some))?;
    // A token is replaced after about four fifths of its time.
    if max.is_some_and(|max| min > max.mul_f64(0.7)) {
        value.error("`min` is at most 0.7 of `max`: a token is replaced before its time ends");
        return None;
    }
    Some((min, max))
}

/// Replaces the fingerprint of the public key in the texts of claims. Returns false if the key has no public part.
fn fill_in_fingerprint(claims: &mut Map<String, Json>, key: &SigningKey) -> bool {
    let texts = claims.values_mut().filter_map(|value| match value {
        Json::String(text) if text.contains(FINGERPRINT) => Some(text),
        _ => None,
    });
    for text in texts {
        let Some(public) = key.public() else { return false };
        let fingerprint = format!("SHA256:{}", STANDARD.encode(digest(&SHA256, &public.to_info())));
        *text = text.replace(FINGERPRINT, &fingerprint);
    }
    true
}

/// Signs tokens.
struct Minted(Settings);

impl Minted {
    fn mint(&self, now: ClockReading) -> Result<IssuedToken, SourceError> {
        let local = |error: &dyn fmt::Display| SourceError::new(SourceErrorKind::Local, error.to_string());
        let Settings { key, key_id, headers, claims, lifetime, has_expiry, backdate, max_reuse, .. } =
            &self.0;
        let issued = match backdate {
            Some(backdate) => jws::issued_before(now, *backdate),
            None => jws::issued_at(now, *lifetime),
        };
        let mut header: Vec<_> = [("typ", json!("JWT"))].into();
        header.retain(|(name, _)| !headers.contains_key(*name));
        header.extend(key_id.iter().map(|id| ("kid", json!(id))));
        header.extend(headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut claims = claims.clone();
        claims.insert("iat".into(), json!(issued));
        if *has_expiry {
            claims.insert("exp".into(), json!(issued + lifetime.as_secs()));
        }
        let signed = jws::sign(key, &header, &claims).map_err(|error| local(&error))?;
        let value = Secret::new((*signed).clone()).map_err(|error| local(&error))?;
        // `iat` is rounded down to a whole second.
        let end = Duration::from_secs(issued + lifetime.as_secs()).as_secs_f64() - now.unix_seconds();
        let left = Duration::try_from_secs_f64(end).unwrap_or_default();
        let used = max_reuse.map_or(left, |max| if *has_expiry { max.min(left) } else { max });
        Ok(IssuedToken { value, expiry: Expiry::after(now, used), scope: None })
    }
}

#[async_trait]
impl Source<AccessToken> for Minted {
    async fn fetch(&self) -> Result<AccessToken, SourceError> {
        let issued = self.mint(ClockReading::now())?;
        let placed = AccessToken::new(&issued, None, &self.0.token);
        placed.map_err(|_| SourceError::new(SourceErrorKind::Local, "the token cannot be sent where it goes"))
    }
}

/// The same, if the token is shared by a fleet.
#[async_trait]
impl TokenSource for Minted {
    async fn request_token(&self, _: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        Ok(TokenResponse { access: Ok(self.mint(ClockReading::now())?), refresh_token: None })
    }
}
