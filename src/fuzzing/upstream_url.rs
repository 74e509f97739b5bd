//! The property of URLs: the URL of an upstream means itself, and a URL inside it that a response names leads a caller back
//! to the same place by way of Sidekey.
//!
//! An input is the URL of an upstream and the value of `Location`, each on a line of its own.

use url::Url;

use super::host_readings::without_spelling;
use crate::config::{Config, UpstreamUrl};
use crate::credential::READERS;
use crate::proxy::fuzzing::{HeaderBuffer, Locations, parse_request};
use crate::runtime::route::MatchKind;

/// Checks the property on a URL and a `Location`.
pub fn upstream_url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (text, location) = text.split_once('\n').unwrap_or((text, ""));
    let Some(url) = parse(text) else { return };
    let shown = url.to_string();
    assert_eq!(parse(&shown).as_ref(), Some(&url), "{shown} is not the same URL");
    if url.pattern().is_some() {
        check_wildcard(&url);
        check_parts(&url.with_label("label"));
    } else {
        check_parts(&url);
    }
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    if !location.bytes().any(is_control) {
        for matched_by in [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl] {
            check_location(&url, location.trim_ascii(), matched_by);
        }
    }
}

/// The URL as the configuration reads it.
fn parse(text: &str) -> Option<UpstreamUrl> {
    // A variable stands for another text.
    let quoted = serde_json::to_string(text).ok().filter(|text| !text.contains('$'))?;
    let config = format!("services: {{ crm: {{ upstream: {quoted}, auth: {{ type: bearer, token: t }} }} }}");
    Config::parse_with(&config, "url.yaml", &|_| None, READERS)
        .ok()
        .map(|config| config.services[0].upstream.clone())
}

/// Base path and authority can be written into a head.
fn check_parts(url: &UpstreamUrl) {
    assert!(url.tls || url.host.to_string() == "localhost" || is_loopback(url), "a credential in plain text");
    assert!(url.base_path.is_empty() || url.base_path.starts_with('/') && !url.base_path.ends_with('/'));
    assert!(!url.base_path.split('/').any(|segment| matches!(segment, "." | "..")));
    assert!(!url.base_path.contains(['?', '#', '\\']));
    let head = format!("GET {}/ HTTP/1.1\r\nHost: {}\r\n\r\n", url.base_path, url.authority());
    let mut header_buffer = HeaderBuffer::new();
    let head = parse_request(head.as_bytes(), &mut header_buffer);
    let head = head.unwrap_or_else(|error| panic!("{url}: {}", error.cause));
    assert_eq!((head.host, head.path), (&*url.authority(), &*format!("{}/", url.base_path)));
}

/// A host of the wildcard is the only thing that the URL contains, and its own URL is below it.
fn check_wildcard(url: &UpstreamUrl) {
    let of_host = url.with_label("label");
    let own = format!("{of_host}/x");
    let (host, path) = url.below(&own).unwrap_or_else(|| panic!("{own} is not below {url}"));
    assert_eq!((host, path), (of_host.host.to_string(), "/x"));
    for other in ["/x", "https://evil.example/x", "https://label.evil.example/x", &format!("{url}/x")] {
        assert_eq!(url.below(other), None, "{other} below {url}");
    }
    assert!(of_host.pattern().is_none() && of_host.host.to_string().matches('.').count() >= 2);
}

fn is_loopback(url: &UpstreamUrl) -> bool {
    matches!(&url.host, crate::config::Host::Ip(ip) if ip.to_canonical().is_loopback())
}

/// A `Location` that is rewritten leads to the same resource, by way of Sidekey.
fn check_location(upstream: &UpstreamUrl, location: &str, matched_by: MatchKind) {
    let authority = upstream.authority();
    let base_path = &upstream.base_path;
    let locations =
        Locations { name: "crm", is_tls: upstream.tls, authority: &authority, base_path, matched_by };
    let Some(rewritten) = locations.rewrite(location) else { return };
    // As the callers and the upstream's own clients resolve it.
    let origin = format!("{}://{authority}", if upstream.tls { "https" } else { "http" });
    let direct = format!("{origin}{base_path}/asked/for");
    let prefix = match matched_by {
        MatchKind::PathPrefix => "/crm",
        MatchKind::Host => "",
        MatchKind::UpstreamUrl => base_path,
    };
    let asked = format!("http://sidekey.example{prefix}/asked/for");
    let resolve = |base: &str, location: &str| Url::parse(base).and_then(|base| base.join(location));
    let found = resolve(&asked, &rewritten).unwrap_or_else(|error| panic!("{rewritten}: {error}"));
    assert_eq!(found.host_str(), Some("sidekey.example"), "{location} leads out of Sidekey: {rewritten}");
    let rest =
        found.as_str().strip_prefix("http://sidekey.example").and_then(|path| path.strip_prefix(prefix));
    let rest = rest.unwrap_or_else(|| panic!("{location} leads out of the service: {rewritten}"));
    let back = Url::parse(&format!("{origin}{base_path}{rest}"));
    let expected = resolve(&direct, location);
    assert_eq!(back.map(resource), expected.map(resource), "{location} leads elsewhere");
}

/// The URL in the form that all of its spellings have. A base path with and without a slash at its end are the same, and a user
/// in front of the host is removed.
fn resource(mut url: Url) -> Url {
    without_spelling(&mut url);
    // They fail for URLs without a host, which have neither.
    let _ = (url.set_username(""), url.set_password(None));
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}
