//! `callers`: who calls, and what each caller is known by.

use std::collections::HashMap;

use super::bearer::{BEARER, KeyHash};
use super::certificate::{CERTIFICATE, CertificateIdentity};
use super::jwt::{JWT, JwtIdentity};
use super::network::{NETWORK, Network};
use super::unix::{UNIX, UnixIdentity};
use super::{bearer, certificate, jwt, network, unix};
use crate::config::reader::table::{Definition, Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::service::upstream;
use crate::config::service::upstream::RateLimit;

/// The format of `callers`.
pub(crate) const CALLERS: Format =
    Format::Names(&Names { pattern: Some(NAME), min: 1, max: Some(MAX_CALLERS), ..Names::of(CALLER) });

const CALLER: Format = Format::Defined(&Definition {
    name: "caller",
    description: "A caller, and what it is known by: all that is given must hold.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[
    Key::optional("unix", UNIX, "By the process at the other end of a Unix socket."),
    Key::optional(
        "certificate",
        CERTIFICATE,
        "By its client certificate, which a listener's `client_ca_file` vouches for.",
    ),
    Key::optional("bearer", BEARER, "By a key that it sends."),
    Key::optional("jwt", JWT, "By a signed token that it sends."),
    Key::optional("network", NETWORK, "By the address that its connections come from."),
    Key::optional("max_in_flight", Format::Number(1, 1_000_000), "Limit on its concurrent requests."),
    Key::optional("rate_limit", upstream::RATE_LIMIT, "Limit on the rate of its requests."),
];

/// The regular expression of a name.
pub(super) const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$";

/// The error for another name.
pub(super) const NAMES: &str =
    "a name has letters, digits and `_.-`, starts with a letter or digit, and has at most 63 characters";

/// Largest number of callers. Metrics have a series for each of them and each service that it calls.
const MAX_CALLERS: usize = 500;

/// The name of a caller that is not known.
pub const ANONYMOUS: &str = "anonymous";

/// An entry of `callers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerConfig {
    /// The key under `callers`.
    pub name: String,
    /// Its line in the configuration.
    pub line: usize,
    /// `unix`
    pub unix: Option<UnixIdentity>,
    /// `certificate`
    pub certificate: Option<CertificateIdentity>,
    /// `bearer`: the hashes of its keys.
    pub bearer: Option<Vec<KeyHash>>,
    /// `jwt`
    pub jwt: Option<JwtIdentity>,
    /// `network`
    pub network: Option<Vec<Network>>,
    /// `max_in_flight`: largest number of its concurrent requests.
    pub max_in_flight: Option<usize>,
    /// `rate_limit` of its requests.
    pub rate_limit: Option<RateLimit>,
}

impl CallerConfig {
    /// Whether it presents a credential with each request.
    pub fn presents_credential(&self) -> bool {
        self.bearer.is_some() || self.jwt.is_some()
    }
}

/// Reads `callers`, in the order of the file.
pub(crate) fn read_all(value: &Value<'_>) -> Option<Vec<CallerConfig>> {
    let entries = value.entries()?;
    if entries.is_empty() || entries.len() > MAX_CALLERS {
        value.error(format!("from 1 to {MAX_CALLERS} callers"));
        return None;
    }
    let mut keys = HashMap::new();
    let callers: Vec<_> = entries.iter().map(|(name, value)| read(name, value, &mut keys)).collect();
    callers.into_iter().collect()
}

fn read(name: &str, value: &Value<'_>, keys: &mut HashMap<KeyHash, String>) -> Option<CallerConfig> {
    if !is_name(name) {
        value.error(NAMES);
    }
    if name.eq_ignore_ascii_case(ANONYMOUS) {
        value.error("this is the name of callers that are not known");
    }
    let mut mapping = value.mapping()?;
    let unix = mapping.optional("unix").map(|value| unix::read(&value));
    let certificate = mapping.optional("certificate").map(|value| certificate::read(&value));
    let bearer_value = mapping.optional("bearer");
    let bearer = bearer_value.as_ref().map(bearer::read);
    let jwt_value = mapping.optional("jwt");
    let jwt = jwt_value.as_ref().map(jwt::read);
    let network = mapping.optional("network").map(|value| network::read(&value));
    let max_in_flight = mapping.optional("max_in_flight").and_then(|value| value.number());
    let rate_limit = mapping.optional("rate_limit").and_then(|value| upstream::rate_limit(&value));
    mapping.reject_unknown_keys();
    if unix.is_none() && certificate.is_none() && bearer.is_none() && jwt.is_none() && network.is_none() {
        value.error("a caller is known by `unix`, `certificate`, `bearer`, `jwt` or `network`");
        return None;
    }
    if let (Some(value), Some(_)) = (&jwt_value, &bearer_value) {
        value.error("a request presents one credential: `bearer` or `jwt`; write two callers");
    }
    for key in bearer.iter().flatten().flatten() {
        if let Some(other) = keys.insert(key.clone(), name.to_owned())
            && let Some(value) = &bearer_value
        {
            value.error(format!(
                "a key is given twice, here and for the caller `{other}`; each caller has its own"
            ));
        }
    }
    Some(CallerConfig {
        name: name.to_owned(),
        line: value.line(),
        unix: all_or_nothing(unix)?,
        certificate: all_or_nothing(certificate)?,
        bearer: all_or_nothing(bearer)?,
        jwt: all_or_nothing(jwt)?,
        network: all_or_nothing(network)?,
        max_in_flight: max_in_flight.and_then(|number| usize::try_from(number).ok()),
        rate_limit,
    })
}

/// `None` if the key is there and has an error: that must not lead to a caller that is known by less.
#[expect(clippy::option_option, reason = "whether the key is there, and whether it could be read")]
fn all_or_nothing<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(None) => None,
        Some(Some(identity)) => Some(Some(identity)),
        None => Some(None),
    }
}

pub(super) fn is_name(name: &str) -> bool {
    crate::config::service::entry::is_name(name)
}
