use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

/// 2026-01-01T00:00:00Z
const NOW: u64 = 1_767_225_600;

fn of(members: &Value, token: &str) -> StatedEnd {
    StatedEnd::of(members.as_object().unwrap(), token, UNIX_EPOCH + Duration::from_secs(NOW))
}

/// The stated lifetime in milliseconds; -1 if none is stated, -2 if it is not understood.
fn millis(members: &str) -> i128 {
    let stated = of(&serde_json::from_str(&format!("{{{members}}}")).unwrap(), "opaque");
    match (&stated.stated, &stated.not_understood) {
        (Some((left, _)), _) => left.as_millis().cast_signed(),
        (None, None) => -1,
        (None, Some(_)) => -2,
    }
}

fn jwt(exp: &Value) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(json!({ "exp": exp }).to_string()))
}

#[test]
fn lifetime_is_read_in_every_form() {
    for (members, expected) in [
        (r#""expires_in":3600"#, 3_600_000),
        (r#""expires_in":"3600""#, 3_600_000),
        (r#""expires_in":" 3600 ""#, 3_600_000),
        (r#""expires_in":3599.5"#, 3_599_500),
        (r#""expires_in":"3599.5""#, 3_599_500),
        (r#""expires_in":3.6e3"#, 3_600_000),
        (r#""expires_in":"3600s""#, 3_600_000),
        (r#""expires_in":"3600 seconds""#, 3_600_000),
        (r#""expires_in":"60m""#, 3_600_000),
        (r#""expires_in":"1h""#, 3_600_000),
        (r#""expires_in":"PT1H""#, 3_600_000),
        (r#""expiresIn":3600"#, 3_600_000),
        (r#""ExpiresIn":"3600""#, 3_600_000),
        (r#""access_token_expires_in":3600"#, 3_600_000),
        (r#""expires_in_ms":3600000"#, 3_600_000),
        (r#""expires":3600"#, 3_600_000),
        (r#""expires_in":1e300"#, 2_592_000_000),
        (r#""expires_in":99999999999999999999"#, 2_592_000_000),
        (r#""expires_in":2592000"#, 2_592_000_000),
        (r#""expires_in":3600000"#, 3_600_000),
        (r#""expires_in":"28800000""#, 28_800_000),
        (r#""expires_in":1767229200"#, 3_600_000),
        (r#""expires_in":1767229200000"#, 3_600_000),
        (r#""expires_in":1728000000"#, 1_728_000_000),
        (r#""expires_in":"2026-01-01T01:00:00Z""#, 3_600_000),
    ] {
        assert_eq!(millis(members), expected, "{members}");
    }
}

#[test]
fn point_in_time_is_read_in_every_form() {
    for (members, expected) in [
        (r#""expires_at":1767229200"#, 3_600_000),
        (r#""expires_at":1767229200.5"#, 3_600_500),
        (r#""expires_at":"1767229200""#, 3_600_000),
        (r#""expires_on":"1767229200""#, 3_600_000),
        (r#""expires_at":1767229200000"#, 3_600_000),
        (r#""expires_at":"1767229200000""#, 3_600_000),
        (r#""expires_at":1767229200000000"#, 3_600_000),
        (r#""expires_at":1767229200000000000"#, 3_600_000),
        (r#""expires_at":20260101010000"#, 3_600_000),
        (r#""expires_at":"2026-01-01T01:00:00Z""#, 3_600_000),
        (r#""expires_at":"2026-01-01T02:00:00+01:00""#, 3_600_000),
        (r#""expires_at":"2026-01-01T01:00:00""#, 3_600_000),
        (r#""expires_at":"Thu, 01 Jan 2026 01:00:00 GMT""#, 3_600_000),
        (r#"".expires":"Thu, 01 Jan 2026 01:00:00 GMT""#, 3_600_000),
        (r#""expires_on":"1/1/2026 1:00:00 AM +00:00""#, 3_600_000),
        (r#""expires_on":"/Date(1767229200000)/""#, 3_600_000),
        (r#""accessTokenExpiresAt":"2026-01-01T01:00:00.000Z""#, 3_600_000),
        (r#""expiry_date":1767229200000"#, 3_600_000),
        (r#""exp":1767229200"#, 3_600_000),
        (r#""expires_at":"2025-12-31T23:59:59Z""#, 0),
        (r#""expires_at":1767225599"#, 0),
    ] {
        assert_eq!(millis(members), expected, "{members}");
    }
}

#[test]
fn end_that_is_not_stated_is_none() {
    for members in [
        "",
        r#""expires_in":0"#,
        r#""expires_in":-1"#,
        r#""expires_in":"0""#,
        r#""expires_in":null"#,
        r#""expires_in":false"#,
        r#""expires_in":"""#,
        r#""expires_at":0"#,
        r#""expires_at":null"#,
        r#""ext_expires_in":7200"#,
        r#""refresh_expires_in":1800"#,
        r#""refresh_token_expires_in":1800"#,
        r#""id_token_expires_in":1800"#,
        r#""not-before-policy":0"#,
    ] {
        assert_eq!(millis(members), -1, "{members}");
    }
}

#[test]
fn end_that_is_not_understood_is_not_none() {
    for (members, name) in [
        (json!({ "expires_in": "soon" }), "expires_in"),
        (json!({ "expires_in": [] }), "expires_in"),
        (json!({ "expires_in": true }), "expires_in"),
        (json!({ "expires_in": "NaN" }), "expires_in"),
        (json!({ "expires_in": "inf" }), "expires_in"),
        (json!({ "expires_in": { "value": 5 } }), "expires_in"),
        (json!({ "token": { "expires_at": "soon" } }), "token.expires_at"),
        (json!({ "data": { "token": { "expires_in": [] } } }), "data.token.expires_in"),
        (json!({ "expires_at": "in one hour" }), "expires_at"),
        (json!({ "expires_at": "29.11.2026 10:00" }), "expires_at"),
        (json!({ "expires_on": "1" }), "expires_on"),
        (json!({ "expires_at": { "$date": 1 } }), "expires_at"),
    ] {
        let stated = of(&members, "opaque");
        assert_eq!((stated.stated, stated.not_understood.as_deref()), (None, Some(name)), "{members}");
    }
    let stated = of(&json!({}), &jwt(&json!("soon")));
    assert_eq!((stated.own, stated.not_understood.as_deref()), (None, Some(OWN_END)));
}

#[test]
fn earliest_of_several_ends_counts() {
    for (members, expected) in [
        (r#""expires_in":3600,"expires_at":"2026-01-01T00:01:00Z""#, 60_000),
        (r#""expires_in":60,"expires_at":"2026-01-01T01:00:00Z""#, 60_000),
        (r#""expires_in":3600,"expires_at":"2025-12-31T23:00:00Z""#, 0),
        (r#""ext_expires_in":7200,"expires_in":"3599""#, 3_599_000),
        (r#""expires_in":"","expires_on":"1767229200""#, 3_600_000),
        (r#""expires_in":"soon","expires_at":1767229200"#, 3_600_000),
        // Without a time zone it may be hours off.
        (r#""expires_in":3600,"expires_at":"2025-12-31T23:00:00""#, 3_600_000),
    ] {
        assert_eq!(millis(members), expected, "{members}");
    }
}

#[test]
fn end_in_an_object_about_the_token_counts() {
    for (members, expected) in [
        (r#""token":{"expires_at":"2026-01-01T00:01:00Z"}"#, 60_000),
        (r#""data":{"expires_in":60}"#, 60_000),
        (r#""data":{"expires_in":60},"expires_in":3600"#, 60_000),
        (r#""result":{"token":{"expiresIn":"60"}}"#, 60_000),
        (r#""data":{"type":"tokens","attributes":{"expires_at":1767225660}}"#, 60_000),
        (r#""tokens":{"access":{"token":"opaque","expires":"2026-01-01T00:01:00Z"}}"#, 60_000),
        (r#""auth":{"client_token":"x","lease_duration":60}"#, 60_000),
        (r#""credentials":{"access_token":"Bearer opaque","expires_in":60}"#, 60_000),
        (r#""data.expires_in":60"#, 60_000),
        (r#""token[expires_at]":"1767225660""#, 60_000),
        (r#""oauth_expires_in":60"#, 60_000),
        (r#""expires_at":{"date":"2026-01-01 00:01:00.000000","timezone_type":3,"timezone":"UTC"}"#, 60_000),
        (r#""expires_at":{"_seconds":1767225660,"_nanoseconds":0}"#, 60_000),
        (r#""expires_in":{"seconds":60}"#, 60_000),
    ] {
        assert_eq!(millis(members), expected, "{members}");
    }
}

#[test]
fn end_of_something_else_does_not_count() {
    for members in [
        r#""user":{"expires_at":1767225660}"#,
        r#""subscription":{"valid_until":"2026-01-01T00:01:00Z"}"#,
        r#""refresh_token":{"expires_in":60}"#,
        r#""tokens":{"refresh":{"token":"x","expires":"2026-01-01T00:01:00Z"}}"#,
        r#""authed_user":{"access_token":"x","expires_in":60}"#,
        r#""token":{"access_token":"of somebody else","expires_in":60}"#,
        r#""data":{"data":{"data":{"data":{"expires_in":60}}}}"#,
        r#""data":[{"expires_in":60}]"#,
        r#""oauth_authorization_expires_in":60"#,
    ] {
        assert_eq!(millis(members), -1, "{members}");
    }
}

#[test]
fn lifetime_counts_from_when_the_token_was_issued() {
    for (members, expected) in [
        (r#""expires_in":3600,"issued_at":"1767224400000""#, 2_400_000),
        (r#""expires_in":"3600",".issued":"Wed, 31 Dec 2025 23:40:00 GMT""#, 2_400_000),
        (r#""data":{"expires_in":3600,"issued_at":1767224400}"#, 2_400_000),
        (r#""expires_in":60,"issued_at":1767224400"#, 0),
        // Clocks differ, or the time zone is not known.
        (r#""expires_in":3600,"issued_at":1767225550"#, 3_600_000),
        (r#""expires_in":3600,"issued_at":1767229200"#, 3_600_000),
        (r#""expires_in":3600,"issued_at":"2025-12-31T23:00:00""#, 3_600_000),
        (r#""expires_in":3600,"issued_at":"then""#, 3_600_000),
        // What is left is stated beside it.
        (r#""expires_in":3600,"created_at":1767220000"#, 3_600_000),
        (r#""expires_in":3600,"refresh_token_issued_at":1767220000"#, 3_600_000),
        (r#""expires_at":1767229200,"issued_at":1767220000"#, 3_600_000),
    ] {
        assert_eq!(millis(members), expected, "{members}");
    }
}

#[test]
fn own_end_of_a_jwt_is_read() {
    for exp in [json!(NOW + 900), json!((NOW + 900).to_string()), json!((NOW + 900) * 1000)] {
        assert_eq!(of(&json!({}), &jwt(&exp)).own, Some(Duration::from_secs(900)), "{exp}");
        assert_eq!(own_end(&jwt(&exp)), Some(UNIX_EPOCH + Duration::from_secs(NOW + 900)), "{exp}");
    }
    for past in [json!(NOW - 1), json!(1), json!("2025-12-31T00:00:00Z")] {
        assert_eq!(of(&json!({}), &jwt(&past)).own, Some(Duration::ZERO), "{past}");
    }
    for token in ["opaque".into(), "e30.!!!.sig".into(), jwt(&json!(0)), jwt(&Value::Null)] {
        assert_eq!((of(&json!({}), &token), own_end(&token)), (StatedEnd::default(), None), "{token}");
    }
}
