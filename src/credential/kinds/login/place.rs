//! Where a session is in the answer to a login, and how long it lasts by that answer.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use http::{HeaderMap, HeaderName, header};
use serde_json::Value;

use crate::oauth2::claims;
use crate::refresh::ClockReading;

/// A number of fewer seconds is a lifetime, a larger one a point in time.
const FIRST_TIME: f64 = 1e9;
/// From here a point in time is in milliseconds.
const FIRST_MILLISECONDS: f64 = 1e12;

/// Where the session is in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SessionPlace {
    /// A member of the JSON document, by its pointer (RFC 6901).
    Json(String),
    /// A cookie that the answer sets.
    Cookie(String),
    /// A header field.
    Header(HeaderName),
}

impl SessionPlace {
    /// Parses `json:/pointer`, `cookie:NAME` and `header:NAME`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("json", pointer)) => json_pointer(pointer).map(Self::Json),
            Some(("cookie", name)) if HeaderName::try_from(name).is_ok() => Ok(Self::Cookie(name.to_owned())),
            Some(("header", name)) => {
                let name = HeaderName::try_from(name).map_err(|_| "not the name of a header field")?;
                Ok(Self::Header(name))
            }
            _ => Err("write `json:/POINTER`, `cookie:NAME` or `header:NAME`".into()),
        }
    }
}

/// Checks a JSON pointer.
pub(super) fn json_pointer(text: &str) -> Result<String, String> {
    if text.starts_with('/') && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a JSON pointer (RFC 6901), such as `/data/token`".into())
    }
}

/// An answer to a login.
pub(super) struct Answer<'a> {
    /// The host that was asked.
    pub(super) host: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The document, if it is JSON.
    pub(super) json: Option<Value>,
}

/// A session that was found.
pub(super) struct Found {
    pub(super) value: String,
    /// How long it lasts, by the cookie or by itself.
    pub(super) lifetime: Option<Duration>,
}

impl Answer<'_> {
    /// The session; `None` if there is none.
    pub(super) fn session(&self, place: &SessionPlace, now: ClockReading) -> Option<Found> {
        let found = match place {
            SessionPlace::Json(pointer) => {
                let value = match self.json.as_ref()?.pointer(pointer)? {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return None,
                };
                Found { value, lifetime: None }
            }
            SessionPlace::Header(name) => {
                let value = self.headers.get(name)?.to_str().ok()?;
                Found { value: value.trim().to_owned(), lifetime: None }
            }
            SessionPlace::Cookie(name) => self.cookie(name, now)?,
        };
        let own = claims::decode(&found.value).and_then(|claims| left(claims.get("exp")?, now));
        let lifetime = found.lifetime.into_iter().chain(own).min();
        Some(Found { lifetime, ..found }).filter(|found| !found.value.is_empty())
    }

    /// Every cookie that the answer sets for the host that was asked, as `name=value`.
    pub(super) fn cookies(&self, now: ClockReading) -> Vec<String> {
        let mut cookies: Vec<(&str, String)> = Vec::new();
        for line in self.headers.get_all(header::SET_COOKIE) {
            let Some((name, _)) = line.to_str().ok().and_then(|line| line.split_once('=')) else { continue };
            let name = name.trim();
            let is_new = !cookies.iter().any(|(known, _)| *known == name);
            if let Some(found) = self.cookie(name, now).filter(|_| is_new) {
                cookies.push((name, found.value));
            }
        }
        cookies.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// What a member says of the lifetime: seconds, or a point in time.
    pub(super) fn lifetime(&self, pointer: &str, now: ClockReading) -> Option<Duration> {
        left(self.json.as_ref()?.pointer(pointer)?, now)
    }

    /// The last cookie of this name that is for the host that was asked, and not one that is deleted (RFC 6265 §5.3).
    fn cookie(&self, name: &str, now: ClockReading) -> Option<Found> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        let mut cookies =
            lines.rev().filter_map(|line| set_cookie(line.to_str().ok()?, name, self.host, now));
        cookies.next().filter(|found| found.lifetime != Some(Duration::ZERO))
    }
}

/// Reads one `Set-Cookie`; `None` if it is of another name, or for another host.
fn set_cookie(line: &str, name: &str, host: &str, now: ClockReading) -> Option<Found> {
    let mut parts = line.split(';');
    let (own, value) = parts.next()?.split_once('=')?;
    if own.trim() != name {
        return None;
    }
    let (mut max_age, mut expires) = (None, None);
    for attribute in parts {
        let (attribute, text) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (attribute, text) = (attribute.trim(), text.trim());
        if attribute.eq_ignore_ascii_case("max-age") {
            // A number that is negative, or none, deletes the cookie or says nothing (RFC 6265 §5.2.2).
            max_age = text.parse::<i64>().ok().map(|seconds| seconds.max(0).unsigned_abs());
        } else if attribute.eq_ignore_ascii_case("expires") {
            let end = httpdate::parse_http_date(text).ok();
            expires = end.and_then(|end| unix_seconds(end).map(|end| (end - now.unix_seconds()).max(0.0)));
        } else if attribute.eq_ignore_ascii_case("domain") && !is_within(host, text.trim_start_matches('.')) {
            return None;
        }
    }
    // `Max-Age` has precedence (RFC 6265 §5.3).
    let expires = expires.and_then(|left| Duration::try_from_secs_f64(left).ok());
    let lifetime = max_age.map(Duration::from_secs).or(expires);
    Some(Found { value: value.trim().to_owned(), lifetime })
}

/// Whether a host is a domain, or below it.
fn is_within(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    domain.is_empty() || host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// The time that is left: of a lifetime in seconds, a point in time in seconds or milliseconds, or one as RFC 3339 writes it. Zero if
/// it has passed.
fn left(value: &Value, now: ClockReading) -> Option<Duration> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let seconds = match number {
        Some(number) if number >= FIRST_MILLISECONDS => number / 1000.0 - now.unix_seconds(),
        Some(number) if number >= FIRST_TIME => number - now.unix_seconds(),
        Some(number) => number,
        None => {
            let end = DateTime::parse_from_rfc3339(value.as_str()?.trim()).ok()?;
            unix_seconds(SystemTime::from(end))? - now.unix_seconds()
        }
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

fn unix_seconds(time: SystemTime) -> Option<f64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cookie(lines: &[&str]) -> Option<(String, Option<u64>)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SET_COOKIE, line.parse().unwrap());
        }
        let answer = Answer { host: "api.example.com", headers: &headers, json: None };
        let found = answer.session(&SessionPlace::parse("cookie:sid").unwrap(), ClockReading::now())?;
        Some((found.value, found.lifetime.map(|lifetime| lifetime.as_secs())))
    }

    #[test]
    fn cookie_of_the_server_is_the_session() {
        let found = |value: &str, lifetime| Some((value.to_owned(), lifetime));
        assert_eq!(cookie(&["sid=a; Path=/; HttpOnly"]), found("a", None));
        assert_eq!(cookie(&["other=x", "sid=a=b; max-age=60; Secure"]), found("a=b", Some(60)));
        assert_eq!(cookie(&["sid=a", "sid=b; Domain=.Example.com"]), found("b", None), "the last one counts");
        assert_eq!(
            cookie(&["sid=a; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]),
            found("a", Some(60))
        );
        assert_eq!(cookie(&["sid=a; Max-Age=x"]), found("a", None));
        for none in [
            &["sid="][..],
            &["SID=a"],
            &["sid"],
            &["sid=a; Domain=evil.example"],
            &["sid=a; Domain=ample.com"],
            &["sid=a; Domain=sub.api.example.com"],
            &["sid=a", "sid=a; Max-Age=0"],
            &["sid=a; Max-Age=-1"],
            &["sid=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        ] {
            assert_eq!(cookie(none), None, "{none:?}");
        }
    }

    #[test]
    fn session_in_json_or_in_a_header_is_found() {
        let headers = [("x-token", " h ")]
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(headers);
        let json = Some(json!({ "data": { "token": "t", "id": 7, "no": null, "ttl": "60" } }));
        let answer = Answer { host: "a", headers: &headers, json };
        let now = ClockReading::now();
        let find =
            |place: &str| answer.session(&SessionPlace::parse(place).unwrap(), now).map(|found| found.value);
        assert_eq!(find("json:/data/token").as_deref(), Some("t"));
        assert_eq!(find("json:/data/id").as_deref(), Some("7"));
        assert_eq!(find("header:X-Token").as_deref(), Some("h"));
        for none in ["json:/data", "json:/data/no", "json:/none", "header:x-none", "cookie:t"] {
            assert_eq!(find(none), None, "{none}");
        }
        assert_eq!(answer.lifetime("/data/ttl", now), Some(Duration::from_secs(60)));
        assert_eq!(answer.lifetime("/data/token", now), None);
    }

    #[test]
    fn lifetime_is_read_in_every_usual_form() {
        let now = ClockReading::now();
        let unix = now.unix_seconds();
        let seconds = |value: Value| left(&value, now).map(|left| left.as_secs_f64().round());
        assert_eq!(seconds(json!(3600)), Some(3600.0));
        assert_eq!(seconds(json!("90")), Some(90.0));
        assert_eq!(seconds(json!(unix + 30.0)), Some(30.0));
        assert_eq!(seconds(json!((unix + 30.0) * 1000.0)), Some(30.0));
        assert_eq!(seconds(json!("2020-01-01T00:00:00Z")), Some(0.0));
        assert_eq!(seconds(json!(-5)), Some(0.0));
        for none in [json!("soon"), json!(null), json!({}), json!(true)] {
            assert_eq!(seconds(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn jwt_ends_by_its_own_claim() {
        use base64::Engine;
        let now = ClockReading::now();
        let claims = json!({ "exp": now.unix_seconds() + 50.0 }).to_string();
        let token = format!("e30.{}.x", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
        let headers = HeaderMap::new();
        let answer = Answer { host: "a", headers: &headers, json: Some(json!({ "t": token })) };
        let found = answer.session(&SessionPlace::Json("/t".into()), now).unwrap();
        assert_eq!(found.lifetime.unwrap().as_millis().div_ceil(1000), 50);
    }
}
