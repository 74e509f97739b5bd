//! Wildcards: `*.example.com` stands for every host that is one label below `example.com`.
//!
//! Such a pattern has one form, a [`Host::Name`] that starts with `*.`. No such name can be resolved, and TLS verifies none: code that
//! does not know of patterns fails, and sends nothing. A request that names it is for no service, because `*` is not a label.

use super::host;
use super::host::Host;

/// What a pattern starts with.
const PREFIX: &str = "*.";
/// The limit on the length of a name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// The suffix of a pattern, without `*.`; `None` if the text is no pattern.
pub fn suffix(pattern: &str) -> Option<&str> {
    pattern.strip_prefix(PREFIX)
}

/// The key of a pattern in a table of hosts, which is the end of its hosts, from the dot on; of anything else, the text itself. No
/// host starts with a dot.
pub fn key(name: &str) -> &str {
    if suffix(name).is_some() { &name[1..] } else { name }
}

/// The label of a host that may stand for the `*` of a pattern, and the [`key`] of that pattern; `None` if the first label of the
/// host is none that a DNS name may have. `host` is canonical.
pub fn split(host: &str) -> Option<(&str, &str)> {
    let (label, below) = host.split_at(host.find('.')?);
    let is_valid = host.len() <= MAX_NAME
        && host::is_label(label)
        // An authority in lower-case ASCII is taken as it is. What claims to be punycode may be none.
        && (!label.starts_with("xn--") || Host::canonical(host) == Some(Host::Name(host.to_owned())));
    is_valid.then_some((label, below))
}

/// Parses a host name or a pattern. What follows `*.` is a name, and no address.
pub(crate) fn parse(text: &str) -> Result<Host, String> {
    let Some(rest) = suffix(text) else { return host::parse(text) };
    match host::parse(rest)? {
        Host::Name(name) => Ok(Host::Name(format!("{PREFIX}{name}"))),
        Host::Ip(_) => Err("there is nothing below an IP address".into()),
    }
}

/// The text of a URL without the `*.` at the start of its host, if the host has one.
pub(crate) fn without_prefix(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", suffix(rest)?))
}

/// The pattern that has a [`key`].
pub fn pattern(key: &str) -> String {
    format!("*{key}")
}

/// The pattern of the hosts below a name.
pub(crate) fn below(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The host whose label stands for the `*` of a pattern.
pub(crate) fn fill(pattern: &str, label: &str) -> String {
    format!("{label}{}", key(pattern))
}

/// Checks that the hosts below a suffix have one owner. `is_for_host`: the credential is valid for the host of its request only.
pub(crate) fn check_owner(suffix: &str, is_for_host: bool) -> Result<(), String> {
    if !suffix.contains('.') {
        return Err(format!(
            "`*.{suffix}` is every name of a top-level domain; a wildcard needs a longer suffix"
        ));
    }
    // The suffix is a public one, or every name below it is.
    let host = format!("a.{suffix}");
    let public = psl::suffix(host.as_bytes()).filter(|public| public.as_bytes().len() >= suffix.len());
    let Some(public) = public else { return Ok(()) };
    let shown = if public.as_bytes().len() > suffix.len() { below(suffix) } else { suffix.to_owned() };
    match public.typ() {
        Some(psl::Type::Private) if is_for_host => Ok(()),
        Some(psl::Type::Private) => Err(format!(
            "`{shown}` is a public suffix: each name below it may have another owner, and all of them would get the credential. \
             Only a credential that signs the request for its host (`aws_sigv4`) may go there; otherwise name the hosts"
        )),
        _ => Err(format!("`{shown}` is a public suffix: each name below it has another owner")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_takes_exactly_one_valid_label() {
        assert_eq!(split("bucket.s3.example.com"), Some(("bucket", ".s3.example.com")));
        assert_eq!(split("a_b-c.x"), Some(("a_b-c", ".x")));
        assert_eq!(split("xn--bcher-kva.s3.example.com"), Some(("xn--bcher-kva", ".s3.example.com")));
        let long = format!("{}.s3.example.com", "a".repeat(64));
        let longest = format!("a.{}", "b.".repeat(126));
        for host in [
            "",
            "localhost",
            ".s3.example.com",
            "-a.s3.example.com",
            "a-.s3.example.com",
            "*.s3.example.com",
            "xn--.s3.example.com",
            "xn--a.s3.example.com",
            "a\0.s3.example.com",
            "a@b.s3.example.com",
            "[::1]",
            "evil.com#.s3.example.com#",
            long.as_str(),
            longest.as_str(),
        ] {
            let taken = split(host).filter(|(_, below)| *below == ".s3.example.com" || host.len() > 200);
            assert_eq!(taken, None, "{host}");
        }
    }

    #[test]
    fn pattern_is_a_name_behind_an_asterisk() {
        let shown = |text: &str| parse(text).map(|host| host.to_string());
        assert_eq!(shown("*.S3.Example.com").as_deref(), Ok("*.s3.example.com"));
        assert_eq!(shown("s3.example.com").as_deref(), Ok("s3.example.com"));
        for text in [
            "*",
            "*.",
            "*.*.example.com",
            "a*.example.com",
            "*a.example.com",
            "*.127.0.0.1",
            "*.1.2",
            "x.*.y.z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(fill("*.s3.example.com", "bucket"), "bucket.s3.example.com");
    }

    #[test]
    fn wildcard_below_public_suffix_is_rejected() {
        for (suffix, by_all, by_host) in [
            ("example.com", true, true),
            ("s3.example.co.uk", true, true),
            ("apps.internal", true, true),
            ("com", false, false),
            ("co.uk", false, false),
            ("internal", false, false),
            // Every name below it is a public suffix.
            ("kawasaki.jp", false, false),
            ("s3.eu-west-1.amazonaws.com", false, true),
            ("s3.amazonaws.com", false, true),
            ("github.io", false, true),
            ("amazonaws.com", true, true),
            ("compute.amazonaws.com", false, true),
        ] {
            assert_eq!(check_owner(suffix, false).is_ok(), by_all, "{suffix}");
            assert_eq!(check_owner(suffix, true).is_ok(), by_host, "{suffix}");
        }
    }
}
