//! `auth_method`: client authentication at the token endpoint, and the keys of each method.

use std::path::Path;

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::exposure::Content;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::report::display_path;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::suggest::list;
use crate::config::reader::table::{Format, Key, Keys, Words};
use crate::config::reader::value::Value;
use crate::config::watched_files::FileKind;
use crate::secret::{Algorithm, Character, Secret, SigningKey, Source, read_pem_file};

/// `auth_method`: the registered names of OAuth client authentication.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// HTTP Basic (RFC 6749 §2.3.1).
    SecretBasic {
        /// Client secret; may be empty.
        secret: Secret,
        /// Encoding of client id and secret.
        encoding: BasicEncoding,
    },
    /// `client_id` and `client_secret` in the form body (RFC 6749 §2.3.1).
    SecretPost {
        /// Client secret; may be empty.
        secret: Secret,
    },
    /// An assertion signed with the client secret (RFC 7523 §2.2, OpenID Connect Core §9).
    SecretJwt {
        /// Client secret: the key of the signature, never sent.
        secret: Secret,
        /// The assertion.
        assertion: Assertion,
    },
    /// An assertion signed with a private key (RFC 7523 §2.2).
    PrivateKeyJwt(Assertion),
    /// An assertion that another program issues (RFC 7523 §2.2), as it is.
    Presented {
        /// Where it is read from, for each token request.
        assertion: Source,
        /// `client_assertion_type`: a URI.
        kind: String,
    },
    /// A client certificate issued by a CA (RFC 8705 §2.1).
    TlsClientAuth,
    /// A self-signed client certificate that is registered (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
    /// None: a public client, which only sends its identifier (RFC 6749 §2.1).
    None,
}

impl ClientAuth {
    /// The value of `auth_method`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SecretBasic { .. } => Method::Basic.name(),
            Self::SecretPost { .. } => Method::Post.name(),
            Self::SecretJwt { .. } => Method::SecretJwt.name(),
            Self::PrivateKeyJwt(_) => Method::PrivateKeyJwt.name(),
            Self::Presented { .. } => Method::Presented.name(),
            Self::TlsClientAuth => Method::Tls.name(),
            Self::SelfSignedTlsClientAuth => Method::SelfSignedTls.name(),
            Self::None => Method::None.name(),
        }
    }

    /// Whether the client authenticates with the certificate of the TLS connection.
    pub fn is_by_certificate(&self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }
}

/// A signed client assertion: the key and the claims that are configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assertion {
    /// The signing key.
    pub key: SigningKey,
    /// `kid`: identifies the key among the registered keys of the client.
    pub key_id: Option<String>,
    /// `aud`; if not set, the issuer if it is known, otherwise the URL of the token endpoint.
    pub audience: Option<String>,
    /// `x5t#S256`: SHA-256 of the key's certificate (required by Microsoft Entra).
    pub thumbprint: Option<[u8; 32]>,
}

/// `basic_auth_encoding`: whether client id and secret are form-encoded before Base64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum BasicEncoding {
    /// As RFC 6749 §2.3.1 says (Keycloak, oidc-provider).
    #[default]
    Rfc6749,
    /// Not encoded (eBay, Google).
    Raw,
}

/// Largest file of `assertion_certificate`, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// Form parameters of client authentication.
pub(crate) const PARAMETERS: [&str; 4] =
    ["client_id", "client_secret", "client_assertion", "client_assertion_type"];

/// The key `auth_method`.
pub(crate) const AUTH_METHOD: Key =
    Key::optional("auth_method", Format::Words(&METHODS), "How the OAuth client authenticates.");

const CLIENT_SECRET: Key =
    Key::required("client_secret", SECRET, "Client secret; `\"\"` if it is an empty one.");
const BASIC_AUTH_ENCODING: Key = Key::optional(
    "basic_auth_encoding",
    Format::Words(&ENCODINGS),
    "Whether client id and secret are form-encoded before Base64.",
)
.or("rfc6749");
pub(crate) const PRIVATE_KEY: Key =
    Key::depends("private_key", SECRET, "A private key in PEM, which signs assertions.");
pub(crate) const SIGNING_ALG: Key = Key::optional(
    "signing_alg",
    Format::AnyOf(&[Format::Words(&Algorithm::ASYMMETRIC), Format::Words(&Algorithm::SYMMETRIC)]),
    "Signature algorithm of assertions. Default: by the key.",
);
pub(crate) const KEY_ID: Key =
    Key::optional("key_id", Format::Text, "`kid` of assertions: which of the registered keys it is.");
const ASSERTION_AUDIENCE: Key = Key::optional(
    "assertion_audience",
    Format::Text,
    "`aud` of client assertions. Default: `token_url` or `issuer`.",
);
const ASSERTION_CERTIFICATE: Key = Key::optional(
    "assertion_certificate",
    Format::Text,
    "PEM file of the key's certificate, sent as `x5t#S256`.",
);

const CLIENT_ASSERTION: Key = Key::required(
    "client_assertion",
    SECRET,
    "The token of this workload, which another program issues: it is read again for each token request.",
);
const CLIENT_ASSERTION_TYPE: Key = Key::optional(
    "client_assertion_type",
    Format::Text,
    "The type of that token: `jwt-bearer`, `jwt-spiffe`, or a URI.",
)
.or("jwt-bearer");

/// The type of an assertion that is a JWT (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Types that are written as the last part of [`ASSERTION_TYPE`]; the second one is of draft-ietf-oauth-spiffe-client-auth.
const ASSERTION_TYPES: [&str; 2] = ["jwt-bearer", "jwt-spiffe"];

const ENCODINGS: [(&str, BasicEncoding); 2] =
    [("rfc6749", BasicEncoding::Rfc6749), ("raw", BasicEncoding::Raw)];

impl<const N: usize> Words for [Algorithm; N] {
    fn words(&self) -> Vec<&'static str> {
        self.iter().map(|algorithm| algorithm.as_str()).collect()
    }
}

/// A method of client authentication, before its keys are read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Method {
    Basic,
    Post,
    SecretJwt,
    PrivateKeyJwt,
    Presented,
    Tls,
    SelfSignedTls,
    None,
}

/// Every method.
pub(crate) const METHODS: [(&str, Method); 8] = [
    named(Method::Basic),
    named(Method::Post),
    named(Method::SecretJwt),
    named(Method::PrivateKeyJwt),
    named(Method::Presented),
    named(Method::Tls),
    named(Method::SelfSignedTls),
    named(Method::None),
];

const fn named(method: Method) -> (&'static str, Method) {
    (method.name(), method)
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::SecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::Presented => "client_assertion",
            Self::Tls => "tls_client_auth",
            Self::SelfSignedTls => "self_signed_tls_client_auth",
            Self::None => "none",
        }
    }

    /// The keys that not every method has.
    pub(crate) const fn keys(self) -> Keys {
        match self {
            Self::Basic => &[CLIENT_SECRET, BASIC_AUTH_ENCODING],
            Self::Post => &[CLIENT_SECRET],
            Self::SecretJwt => &[CLIENT_SECRET, SIGNING_ALG, KEY_ID, ASSERTION_AUDIENCE],
            Self::PrivateKeyJwt => {
                &[PRIVATE_KEY, SIGNING_ALG, KEY_ID, ASSERTION_AUDIENCE, ASSERTION_CERTIFICATE]
            }
            Self::Presented => &[CLIENT_ASSERTION, CLIENT_ASSERTION_TYPE],
            Self::Tls | Self::SelfSignedTls | Self::None => &[],
        }
    }

    fn has(self, key: &Key) -> bool {
        self.keys().iter().any(|own| own.name == key.name)
    }
}

/// Reads the client authentication. `public`: whether public clients can use the grant. `of_grant`: keys that
/// the grant uses with any method.
pub(crate) fn read(
    mapping: &mut Mapping<'_>,
    public: bool,
    of_grant: Keys,
    client_id: Option<&str>,
) -> Option<ClientAuth> {
    let method = match mapping.optional("auth_method") {
        None if mapping.has("auth_method") => None,
        None if public && !mapping.has("client_secret") => Some(Method::None),
        None => Some(Method::Basic),
        Some(value) => chosen(&value, public),
    };
    let Some(method) = method else {
        // Without a valid method these keys cannot be checked.
        for (_, method) in METHODS {
            mapping.allow_unread(method.keys());
        }
        return None;
    };
    mapping.allow(method.keys());
    let is_of_grant = |key: &Key| of_grant.iter().any(|own| own.name == key.name);
    let of_others = METHODS.iter().flat_map(|(_, other)| other.keys());
    for key in of_others.filter(|key| !method.has(key) && !is_of_grant(key)) {
        let others = METHODS.iter().filter(|(_, other)| other.has(key)).map(|(name, _)| *name);
        let (name, others) = (method.name(), list(others));
        mapping.forbid(
            key,
            format!(
                "this key has no effect with `auth_method: {name}`; remove it, or set `auth_method` to {others}"
            ),
        );
    }
    match method {
        Method::Basic => basic(mapping, client_id),
        Method::Post => secret_of(mapping).map(|secret| ClientAuth::SecretPost { secret }),
        Method::SecretJwt => secret_jwt(mapping),
        Method::PrivateKeyJwt => private_key_jwt(mapping),
        Method::Presented => presented(mapping),
        Method::Tls => Some(ClientAuth::TlsClientAuth),
        Method::SelfSignedTls => Some(ClientAuth::SelfSignedTlsClientAuth),
        Method::None => Some(ClientAuth::None),
    }
}

fn chosen(value: &Value<'_>, public: bool) -> Option<Method> {
    let method = value.one_of(&METHODS)?;
    if method == Method::None && !public {
        value.error("this grant requires client authentication (RFC 6749 §4.4); use another method");
        return None;
    }
    Some(method)
}

/// Reads `client_secret`. `""` is a secret that is empty, which is legal (RFC 6749 §2.3.1, Appendix A.2). A
/// file or a variable that is empty is an error, because it may be about to be written.
fn secret_of(mapping: &mut Mapping<'_>) -> Option<Secret> {
    let value = mapping.required("client_secret")?;
    if value.is_empty_text() { Some(Secret::empty()) } else { secret::read(&value) }
}

fn basic(mapping: &mut Mapping<'_>, client_id: Option<&str>) -> Option<ClientAuth> {
    let secret = secret_of(mapping);
    let encoding = match mapping.optional("basic_auth_encoding") {
        None => BasicEncoding::default(),
        Some(value) => value.one_of(&ENCODINGS)?,
    };
    if encoding == BasicEncoding::Raw && client_id.is_some_and(|id| id.contains(':')) {
        mapping
            .value()
            .error("a `client_id` that contains a colon cannot be sent with `basic_auth_encoding: raw`");
    }
    Some(ClientAuth::SecretBasic { secret: secret?, encoding })
}

fn secret_jwt(mapping: &mut Mapping<'_>) -> Option<ClientAuth> {
    let value = mapping.required("client_secret");
    let secret = value.as_ref().and_then(secret::read);
    let algorithm = algorithm(mapping, &Algorithm::SYMMETRIC);
    let (key_id, audience) = (text(mapping, "key_id"), text(mapping, "assertion_audience"));
    let (secret, algorithm) = (secret?, algorithm.unwrap_or(Algorithm::Hs256));
    let shortest = match algorithm {
        Algorithm::Hs512 => 64,
        Algorithm::Hs384 => 48,
        _ => 32,
    };
    if let Some(value) = value.filter(|_| secret.is_shorter_than(shortest)) {
        let name = algorithm.as_str();
        value.warn(format!("{name} requires a secret of at least {shortest} bytes (RFC 7518 §3.2); some endpoints reject a shorter one"));
    }
    let key = SigningKey::shared(&secret, algorithm);
    Some(ClientAuth::SecretJwt { secret, assertion: Assertion { key, key_id, audience, thumbprint: None } })
}

fn private_key_jwt(mapping: &mut Mapping<'_>) -> Option<ClientAuth> {
    let key = mapping.required("private_key");
    let algorithm = algorithm(mapping, &Algorithm::ASYMMETRIC);
    let (key_id, audience) = (text(mapping, "key_id"), text(mapping, "assertion_audience"));
    let thumbprint = mapping.optional("assertion_certificate").and_then(|value| {
        value.parse(|path| {
            // Only the thumbprint is used, so the file is read again together with the configuration.
            value.watch(Path::new(path), FileKind::Secret);
            value.warn_if_exposed(Path::new(path), Content::Trusted);
            if value.reads_files() { thumbprint(path) } else { Ok([0; 32]) }
        })
    });
    let key = key.and_then(|value| secret::signing_key(&value, algorithm));
    Some(ClientAuth::PrivateKeyJwt(Assertion { key: key?, key_id, audience, thumbprint }))
}

fn presented(mapping: &mut Mapping<'_>) -> Option<ClientAuth> {
    let assertion = mapping.required("client_assertion").and_then(|value| secret::source(&value));
    let kind = match mapping.optional("client_assertion_type") {
        Some(value) => value.parse(assertion_type),
        None => Some(ASSERTION_TYPE.to_owned()),
    };
    Some(ClientAuth::Presented { assertion: assertion?, kind: kind? })
}

fn assertion_type(text: &str) -> Result<String, String> {
    match text {
        word if ASSERTION_TYPES.contains(&word) => Ok(ASSERTION_TYPE.replace(ASSERTION_TYPES[0], word)),
        uri if uri.contains(':') && uri.chars().all(|c| c.is_ascii_graphic()) => Ok(uri.to_owned()),
        _ => Err(format!("not a type of assertion; allowed: {}, or a URI", list(ASSERTION_TYPES))),
    }
}

/// Reads `signing_alg`.
pub(crate) fn algorithm(mapping: &mut Mapping<'_>, allowed: &[Algorithm]) -> Option<Algorithm> {
    let words: Vec<_> = allowed.iter().map(|algorithm| (algorithm.as_str(), *algorithm)).collect();
    mapping.optional("signing_alg").and_then(|value| value.one_of(&words))
}

/// Reads an optional text that is not empty.
pub(crate) fn text(mapping: &mut Mapping<'_>, key: &'static str) -> Option<String> {
    mapping.optional(key).and_then(|value| value.parse(non_empty))
}

/// Checks a text that is not empty.
pub(crate) fn non_empty(text: &str) -> Result<String, String> {
    match Character::first_unseen(text) {
        Some(found) => Err(format!("contains {found}")),
        None if text.is_empty() => Err("empty".into()),
        None => Ok(text.to_owned()),
    }
}

/// The SHA-256 hash of the first certificate in a PEM file.
fn thumbprint(text: &str) -> Result<[u8; 32], String> {
    let path = Path::new(text);
    let content = read_pem_file(path, MAX_CERTIFICATE_BYTES)
        .map_err(|error| format!("cannot read the file{}: {error}", display_path(path)))?;
    let certificate = CertificateDer::from_pem_slice(&content).map_err(|_| {
        format!("cannot read a certificate from the file{}; expected PEM", display_path(path))
    })?;
    Ok(digest(&SHA256, &certificate).as_ref().try_into().expect("SHA-256 has 32 bytes"))
}
