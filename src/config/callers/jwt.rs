//! `jwt` of a caller: a token of an issuer, such as a projected service-account token of Kubernetes.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::exposure::Content;
use crate::config::http_url;
use crate::config::http_url::{HTTP_URL, UrlPolicy};
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::tls::client;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;
use crate::config::watched_files::FileKind;
use crate::secret::{Secret, read_file};

/// The format of `jwt`.
pub(super) const JWT: Format = Format::Keys(&[KEYS]);

const KEYS: Keys = &[
    Key::required("issuer", Format::Text, "`iss`, character by character."),
    Key::required("audience", Format::Text, "What `aud` must be, or have among its values."),
    Key::optional("claims", CLAIMS, "Claims that must be there, with these texts."),
    Key::optional("jwks_file", Format::Text, "File with the issuer's public keys (RFC 7517)."),
    Key::optional("jwks_url", HTTP_URL, "URL of the issuer's public keys, instead."),
    Key::optional("jwks_token", SECRET, "Sent to `jwks_url` as a bearer token, which Kubernetes demands."),
    Key::optional("tls", TLS, "TLS toward `jwks_url`."),
    Key::optional("leeway", DURATION, "How far the clocks may differ; 5 minutes at most.").or("30s"),
];

const CLAIMS: Format = Format::Names(&Names::of(Format::Text));

/// Default of `leeway`.
const LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// Largest file of keys, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// `jwt` of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtIdentity {
    /// `iss` of its tokens.
    pub issuer: String,
    /// What their `aud` has.
    pub audience: String,
    /// Claims that they have, with their texts.
    pub claims: Vec<(String, String)>,
    /// The keys of the issuer.
    pub keys: JwksSource,
    /// How far the clocks may differ.
    pub leeway: Duration,
}

/// Where the public keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JwksSource {
    /// The content of a file. It is read with the configuration, and a change to it is a reload.
    File(Vec<u8>),
    /// A URL.
    Url(JwksUrl),
}

/// The URL of an issuer's public keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JwksUrl {
    /// The URL.
    pub url: Url,
    /// The bearer token that is sent there.
    pub token: Option<Secret>,
    /// TLS toward it.
    pub tls: Tls,
}

/// Reads `jwt`.
pub(super) fn read(value: &Value<'_>) -> Option<JwtIdentity> {
    let mut mapping = value.mapping()?;
    let issuer = mapping.required("issuer").and_then(|value| value.parse(not_empty));
    let audience = mapping.required("audience").and_then(|value| value.parse(not_empty));
    let claims = mapping.optional("claims").map_or_else(|| Some(Vec::new()), |value| claims(&value));
    let file = mapping.optional("jwks_file");
    let url = mapping.optional("jwks_url");
    let token = mapping.optional("jwks_token");
    let tls = mapping.optional("tls");
    let leeway = mapping.optional("leeway").and_then(|value| {
        let leeway = duration::any(&value)?;
        if leeway > MAX_LEEWAY {
            value.error("5 minutes at most: a token would be valid long after its end");
            return None;
        }
        Some(leeway)
    });
    mapping.reject_unknown_keys();
    for only_for_url in [&token, &tls].into_iter().flatten().filter(|_| url.is_none()) {
        only_for_url.error("has no effect without `jwks_url`");
    }
    let keys = match (file, url) {
        (Some(file), None) => of_file(&file),
        (None, Some(url)) => {
            let policy = UrlPolicy { plaintext: false, query: true };
            let parsed = url.parse(|text| {
                if text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
                    // On the way to this machine itself nothing can be changed.
                    return http_url::parse(text, &policy)
                        .map_err(|_| "keys could be changed on the way; use `https://`".into());
                }
                http_url::parse(text, &policy)
            });
            let is_https = parsed.as_ref().map(|url| url.scheme() == "https");
            let tls = tls.map_or_else(Tls::default, |value| client::of_token_endpoint(&value, is_https));
            let token = token.map(|value| secret::read_of(&value, |c| c.is_ascii_graphic(), "a header"));
            match (parsed, token) {
                (None, _) | (_, Some(None)) => None,
                (Some(url), token) => Some(JwksSource::Url(JwksUrl { url, token: token.flatten(), tls })),
            }
        }
        _ => {
            value.error("`jwt` has either `jwks_file` or `jwks_url`");
            None
        }
    };
    Some(JwtIdentity {
        issuer: issuer?,
        audience: audience?,
        claims: claims?,
        keys: keys?,
        leeway: leeway.unwrap_or(LEEWAY),
    })
}

fn of_file(value: &Value<'_>) -> Option<JwksSource> {
    let path = PathBuf::from(value.text()?);
    value.watch(&path, FileKind::Config);
    value.warn_if_exposed(&path, Content::Trusted);
    if !value.reads_files() {
        return Some(JwksSource::File(Vec::new()));
    }
    let content = read_file(&path, MAX_BYTES).map_err(|error| error.to_string());
    let content = content.and_then(|content| {
        let keys: serde_json::Value = serde_json::from_slice(&content).map_err(|_| "not JSON")?;
        if keys["keys"].as_array().is_none_or(Vec::is_empty) {
            return Err("it has no `keys` (RFC 7517 §5)".into());
        }
        Ok(content.to_vec())
    });
    content.map(JwksSource::File).map_err(|error| value.error(format!("the file of keys: {error}"))).ok()
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("empty".into()) } else { Ok(text.to_owned()) }
}

fn claims(value: &Value<'_>) -> Option<Vec<(String, String)>> {
    let claim = |(name, value): &(&str, Value<'_>)| {
        if matches!(*name, "iss" | "aud" | "exp" | "nbf" | "iat") {
            value.error("this claim is checked in any case");
            return None;
        }
        Some(((*name).to_owned(), value.parse(not_empty)?))
    };
    let claims: Vec<_> = value.entries()?.iter().map(claim).collect();
    claims.into_iter().collect()
}
