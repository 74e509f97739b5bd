//! The end of a token, in every form in which answers state it.
//!
//! A token is never used after an end that is stated. If there are several, the earliest one counts, so that
//! no member has to be trusted more than another. An end that is stated and not understood is not taken for
//! none: the token would be used after it.

pub(super) mod container;
pub(super) mod names;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use self::names::Meaning;
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
/// A token that was issued less than this before the request was issued by it, on another clock.
const MIN_AGE: f64 = 60.0;
/// How deep objects in an answer are read.
const MAX_DEPTH: usize = 3;
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

/// One end.
struct End {
    /// Time that is left.
    left: f64,
    /// Whether there is no doubt about the time zone.
    is_certain: bool,
    /// Whether it is a lifetime, which counts from when the token was issued.
    is_lifetime: bool,
}

/// The ends that an answer states.
struct Ends<'a> {
    token: &'a str,
    now: f64,
    understood: Vec<(End, String)>,
    not_understood: Option<String>,
}

impl Ends<'_> {
    /// Reads the members of one object, and of the objects in it that are about the token. `path` is in front
    /// of the names of its members.
    fn read(&mut self, members: &Map<String, Value>, path: &str, depth: usize) {
        let age = age(members, self.now);
        for (name, value) in members {
            let path = || sanitize(&format!("{path}{name}"));
            if let Some(meaning) = Meaning::of(name) {
                match end(meaning, value, self.now) {
                    _ if !is_stated(value) => {}
                    Some(end) => {
                        let left = if end.is_lifetime { (end.left - age).max(0.0) } else { end.left };
                        self.understood.push((End { left, ..end }, path()));
                    }
                    None => self.not_understood = Some(path()),
                }
            } else if let Value::Object(inner) = value
                && depth < MAX_DEPTH
                && container::is_about_token(name, inner, self.token)
            {
                self.read(inner, &format!("{}.", path()), depth + 1);
            }
        }
    }
}

impl StatedEnd {
    /// What an answer with these members states of this token, from `now` on.
    pub(crate) fn of(members: &Map<String, Value>, token: &str, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut ends = Ends { token, now, understood: Vec::new(), not_understood: None };
        ends.read(members, "", 0);
        let Ends { understood, mut not_understood, .. } = ends;
        // A time without a zone may be hours off. It counts if there is nothing better.
        let has_certain = understood.iter().any(|(end, _)| end.is_certain);
        let counting = understood.into_iter().filter(|(end, _)| end.is_certain || !has_certain);
        let earliest = counting.min_by(|(one, _), (other, _)| one.left.total_cmp(&other.left));
        let own = claims::decode(token).and_then(|claims| claims.get("exp").cloned()).filter(is_stated);
        let own = own.map(|exp| Some(duration((numeric_date(&exp)? - now).max(0.0))));
        if own == Some(None) {
            not_understood = Some(OWN_END.into());
        }
        Self {
            stated: earliest.map(|(end, name)| (duration(end.left), name)),
            own: own.flatten(),
            not_understood,
        }
    }
}

/// How long ago the token was issued, if the answer states that. Endpoints that issue the same token again may
/// state its whole lifetime beside it. `created_at` is not read: endpoints that have it (Doorkeeper) state what
/// is left of the lifetime.
fn age(members: &Map<String, Value>, now: f64) -> f64 {
    let ages = members.iter().filter_map(|(name, value)| {
        let is_issue = matches!(names::plain(name).as_str(), "issuedat" | "issuedon" | "issued" | "iat");
        let issued = end(Meaning::Time, value, 0.0).filter(|issued| is_issue && issued.is_certain)?;
        Some(now - issued.left)
    });
    // A smaller one is a difference of clocks.
    ages.filter(|age| (MIN_AGE..PLAUSIBLE_DISTANCE).contains(age)).fold(0.0, f64::max)
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
    let value = container::time_in(value);
    let lifetime = |left: f64| Some(End { left, is_certain: true, is_lifetime: true });
    if let Some(number) = number(value) {
        return match meaning {
            Meaning::Lifetime => Some(lifetime_or_time(number, now)),
            Meaning::Milliseconds => lifetime(number / 1000.0),
            Meaning::Minutes => lifetime(number * 60.0),
            Meaning::Hours => lifetime(number * 3600.0),
            Meaning::TimeOrLifetime if number < FIRST_TIME => lifetime(number),
            Meaning::Time | Meaning::TimeOrLifetime => time(number, now),
        };
    }
    let text = value.as_str()?;
    if let Some(seconds) = duration_text::seconds(text)
        .filter(|_| !matches!(meaning, Meaning::Milliseconds | Meaning::Minutes | Meaning::Hours))
    {
        return lifetime(seconds);
    }
    // A date as .NET's older serializers write it: `/Date(1767225600000)/`.
    let ticks = text.trim().strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/"));
    if let Some(ticks) = ticks.and_then(|ticks| ticks.parse().ok()) {
        return time(ticks, now);
    }
    let at = PointInTime::parse(text)?;
    Some(point(at.unix_seconds, now, at.has_zone))
}

/// The end at a point in time.
fn point(unix_seconds: f64, now: f64, is_certain: bool) -> End {
    End { left: (unix_seconds - now).max(0.0), is_certain, is_lifetime: false }
}

/// A lifetime in seconds. A value that would be more than thirty days may be in milliseconds, or be a point in
/// time: the earlier end counts.
fn lifetime_or_time(number: f64, now: f64) -> End {
    let in_milliseconds =
        number > MAX_LIFETIME.as_secs_f64() && number / 1000.0 >= MIN_SECONDS_IF_MILLISECONDS;
    let seconds = if in_milliseconds { number / 1000.0 } else { number };
    let at = unix_seconds(number);
    let is_time = number >= FIRST_TIME && at > now && at - now < PLAUSIBLE_DISTANCE;
    if is_time && at - now < seconds {
        return point(at, now, true);
    }
    End { left: seconds, is_certain: true, is_lifetime: true }
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
        return Some(point(at.unix_seconds, now, false));
    }
    Some(point(unix_seconds(number), now, true))
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
