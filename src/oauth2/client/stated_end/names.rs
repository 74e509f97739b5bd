//! Names of members that state the end of a token.

/// The meaning of a member, by its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// A lifetime in seconds.
    Lifetime,
    /// A lifetime in milliseconds.
    Milliseconds,
    /// A lifetime in minutes.
    Minutes,
    /// A lifetime in hours.
    Hours,
    /// A point in time.
    Time,
    /// A point in time; a small number is a lifetime in seconds (Facebook).
    TimeOrLifetime,
}

/// What may be in front of a name: the token itself, and objects that were made flat (`data.expires_in`).
const PREFIXES: [&str; 8] = ["access", "token", "oauth", "bearer", "auth", "data", "result", "response"];

/// Names of members, as [`Meaning::of`] changes them.
const NAMES: [(&str, Meaning); 43] = [
    ("expiresin", Meaning::Lifetime),
    ("expirein", Meaning::Lifetime),
    ("expiresinseconds", Meaning::Lifetime),
    ("expiresinsecs", Meaning::Lifetime),
    ("expiresinsec", Meaning::Lifetime),
    ("expiresafter", Meaning::Lifetime),
    ("expireafter", Meaning::Lifetime),
    ("expiryseconds", Meaning::Lifetime),
    ("expirationseconds", Meaning::Lifetime),
    ("expin", Meaning::Lifetime),
    ("ttl", Meaning::Lifetime),
    ("timetolive", Meaning::Lifetime),
    ("lifetime", Meaning::Lifetime),
    ("leaseduration", Meaning::Lifetime),
    ("validfor", Meaning::Lifetime),
    ("maxage", Meaning::Lifetime),
    ("expiresinminutes", Meaning::Minutes),
    ("expiresinmins", Meaning::Minutes),
    ("expiresinhours", Meaning::Hours),
    ("expiresinms", Meaning::Milliseconds),
    ("expiresinmillis", Meaning::Milliseconds),
    ("expiresinmilliseconds", Meaning::Milliseconds),
    ("expiresat", Meaning::Time),
    ("expireat", Meaning::Time),
    ("expireson", Meaning::Time),
    ("expiretime", Meaning::Time),
    ("expirestime", Meaning::Time),
    ("expirationtime", Meaning::Time),
    ("expirydate", Meaning::Time),
    ("expirationdate", Meaning::Time),
    ("expiredat", Meaning::Time),
    ("expiresdate", Meaning::Time),
    ("expiresondate", Meaning::Time),
    ("expirestimestamp", Meaning::Time),
    ("expiresepoch", Meaning::Time),
    ("validto", Meaning::Time),
    ("validuntil", Meaning::Time),
    ("notafter", Meaning::Time),
    ("exp", Meaning::TimeOrLifetime),
    ("expire", Meaning::TimeOrLifetime),
    ("expires", Meaning::TimeOrLifetime),
    ("expiry", Meaning::TimeOrLifetime),
    ("expiration", Meaning::TimeOrLifetime),
];

impl Meaning {
    /// The meaning of a name in any case and with any separators: `expires_in`, `expiresIn`, `.expires`. Names
    /// of other ends (`refresh_expires_in`, `ext_expires_in`) have none.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut bare = plain(name);
        while let Some(rest) = PREFIXES.into_iter().find_map(|prefix| bare.strip_prefix(prefix)) {
            bare = rest.to_owned();
        }
        NAMES.into_iter().find(|(known, _)| *known == bare).map(|(_, meaning)| meaning)
    }
}

/// A name without case and separators.
pub(in crate::oauth2::client) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
