//! The end of a token, in every form in which answers state it.
//!
//! A token is never used after an end that is stated. If there are several, the earliest one counts, so that
//! no member has to be trusted more than another. An end that is stated and not understood is not taken for
//! none: the token would be used after it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::duration_text;
use super::timestamp::PointInTime;
use crate::oauth2::claims;
use crate::oauth2::sanitize::sanitize;

/// Maximum lifetime. A longer one is cut: the token is merely refreshed earlier.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// Minimum lifetime in seconds if a lifetime is read as milliseconds. A value of more than thirty days is
/// read so (Entra v1, PayPal, NetSuite).
const MIN_SECONDS_IF_MILLISECONDS: f64 = 60.0;
/// A number of fewer seconds is no point in time of a token: it is before September 2001.
const FIRST_TIME: f64 = 1e9;
/// A point in time further away than this was read in the wrong unit.
const PLAUSIBLE_DISTANCE: f64 = 10.0 * 365.0 * 86_400.0;
/// The end that a token has in itself, in messages.
pub(super) const OWN_END: &str = "exp of the token itself";

/// What is stated of the end of a token, as time from a given moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StatedEnd {
    /// The earliest end that the answer states, and the member that states it. Zero if it has passed.
    pub(crate) stated: Option<(Duration, String)>,
    /// `exp` of a token that is a JWT. Zero if it has passed.
    pub(crate) own: Option<Duration>,
    /// A member that states an end in a form that is not understood.
    pub(crate) not_understood: Option<String>,
}

/// The meaning of a member, by its name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
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
    fn of(name: &str) -> Option<Self> {
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let bare = plain.strip_prefix("access").unwrap_or(&plain);
        let bare = bare.strip_prefix("token").unwrap_or(bare);
        NAMES.into_iter().find(|(known, _)| *known == bare).map(|(_, meaning)| meaning)
    }
}

/// One end: time that is left, and whether there is no doubt about the time zone.
struct End {
    left: f64,
    is_certain: bool,
}

impl StatedEnd {
    /// What an answer with these members states of this token, from `now` on.
    pub(crate) fn of(members: &Map<String, Value>, token: &str, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut not_understood = None;
        let mut ends = Vec::new();
        for (name, value) in members {
            let Some(meaning) = Meaning::of(name).filter(|_| is_stated(value)) else { continue };
            match end(meaning, value, now) {
                Some(end) => ends.push((end, name)),
                None => not_understood = Some(sanitize(name)),
            }
        }
        // A time without a zone may be hours off. It counts if there is nothing better.
        let has_certain = ends.iter().any(|(end, _)| end.is_certain);
        let counting = ends.into_iter().filter(|(end, _)| end.is_certain || !has_certain);
        let earliest = counting.min_by(|(one, _), (other, _)| one.left.total_cmp(&other.left));
        let own = claims::decode(token).and_then(|claims| claims.get("exp").cloned()).filter(is_stated);
        let own = own.map(|exp| Some(duration((numeric_date(&exp)? - now).max(0.0))));
        if own == Some(None) {
            not_understood = Some(OWN_END.into());
        }
        Self {
            stated: earliest.map(|(end, name)| (duration(end.left), sanitize(name))),
            own: own.flatten(),
            not_understood,
        }
    }
}

/// The end that a token which is a JWT has in itself. Its signature is not verified.
pub(crate) fn own_end(token: &str) -> Option<SystemTime> {
    let exp = claims::decode(token)?.get("exp").cloned().filter(is_stated)?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(numeric_date(&exp)?).ok()?)
}

/// Seconds since 1970 of a claim (RFC 7519 §2), also of one in milliseconds or in text.
fn numeric_date(claim: &Value) -> Option<f64> {
    number(claim).map(unix_seconds).or_else(|| Some(PointInTime::parse(claim.as_str()?)?.unix_seconds))
}

/// A finite number, or a string that is one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// Whether a member states anything. Zero, a negative number and `false` are how providers say that a token
/// has no end.
fn is_stated(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) if text.trim().is_empty() => false,
        _ => number(value).is_none_or(|number| number > 0.0),
    }
}

fn end(meaning: Meaning, value: &Value, now: f64) -> Option<End> {
    let certain = |left: f64| Some(End { left: left.max(0.0), is_certain: true });
    if let Some(number) = number(value) {
        return match meaning {
            Meaning::Lifetime => certain(lifetime(number, now)),
            Meaning::Milliseconds => certain(number / 1000.0),
            Meaning::Minutes => certain(number * 60.0),
            Meaning::Hours => certain(number * 3600.0),
            Meaning::TimeOrLifetime if number < FIRST_TIME => certain(number),
            Meaning::Time | Meaning::TimeOrLifetime => time(number, now),
        };
    }
    let text = value.as_str()?;
    if let Some(seconds) = duration_text::seconds(text)
        .filter(|_| !matches!(meaning, Meaning::Milliseconds | Meaning::Minutes | Meaning::Hours))
    {
        return certain(seconds);
    }
    // A date as .NET's older serializers write it: `/Date(1767225600000)/`.
    let ticks = text.trim().strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/"));
    if let Some(ticks) = ticks.and_then(|ticks| ticks.parse().ok()) {
        return time(ticks, now);
    }
    let at = PointInTime::parse(text)?;
    Some(End { left: (at.unix_seconds - now).max(0.0), is_certain: at.has_zone })
}

/// Seconds of a lifetime. A value that would be more than thirty days may be in milliseconds, or be a point in
/// time: the earlier end counts.
fn lifetime(number: f64, now: f64) -> f64 {
    let in_milliseconds =
        number > MAX_LIFETIME.as_secs_f64() && number / 1000.0 >= MIN_SECONDS_IF_MILLISECONDS;
    let seconds = if in_milliseconds { number / 1000.0 } else { number };
    let left = unix_seconds(number) - now;
    let is_time = number >= FIRST_TIME && left > 0.0 && left < PLAUSIBLE_DISTANCE;
    if is_time { seconds.min(left) } else { seconds }
}

/// The end at a point in time that is a number.
fn time(number: f64, now: f64) -> Option<End> {
    if number < FIRST_TIME {
        return None;
    }
    // Year, month, day, hour, minute and second as one number.
    if (2e13..2.1e13).contains(&number)
        && let Some(at) = PointInTime::parse(&format!("{number:.0}"))
    {
        return Some(End { left: (at.unix_seconds - now).max(0.0), is_certain: false });
    }
    Some(End { left: (unix_seconds(number) - now).max(0.0), is_certain: true })
}

/// A point in time in seconds, milliseconds, microseconds or nanoseconds, by its size.
fn unix_seconds(number: f64) -> f64 {
    let units = [(1e17, 1e9), (1e14, 1e6), (1e11, 1e3)];
    let unit = units.into_iter().find(|(least, _)| number >= *least);
    unit.map_or(number, |(_, per_second)| number / per_second)
}

/// A duration of `seconds`, `MAX_LIFETIME` at most.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME)
}

#[cfg(test)]
mod tests;
