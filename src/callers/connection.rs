//! What a connection shows of its caller: the address, the names in a client certificate, the process at the other end of a Unix
//! socket. Nothing of it comes from a header field.

use std::net::IpAddr;
use std::sync::Arc;

use x509_parser::extensions::GeneralName;

use super::caller_id::CallerId;
use crate::config::{CallerConfig, CertificateIdentity, UnixIdentity, spiffe_segments};
use crate::net::unix_peer::UnixPeer;

/// What a connection shows of its caller.
#[derive(Debug, Default)]
pub struct PeerFacts {
    /// The address of a TCP connection.
    pub address: Option<IpAddr>,
    /// The process at the other end of a Unix socket.
    pub unix: Option<UnixPeer>,
    /// The names in the client certificate that was verified.
    pub certificate: Option<Arc<CertificateNames>>,
}

/// A connection, and the caller that it is known to be of.
#[derive(Clone)]
pub struct ConnectionCaller {
    pub(super) facts: Arc<PeerFacts>,
    /// The caller of requests that present no credential.
    pub(super) caller: Option<CallerId>,
}

/// The alternative names in a certificate (RFC 5280 §4.2.1.6).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    pub(super) uris: Vec<String>,
    /// In lower case.
    pub(super) dns: Vec<String>,
}

impl CertificateNames {
    /// The names in a certificate in DER; `None` if it cannot be parsed.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let mut names = Self::default();
        let alternative = certificate.subject_alternative_name().ok()?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
                // A URI that is no text would not count as one, and leave another one alone.
                GeneralName::Invalid(..) => return None,
                _ => {}
            }
        }
        Some(names)
    }
}

/// Whether a connection is one of the caller, as far as it is known by connections.
pub(super) fn is_of(caller: &CallerConfig, facts: &PeerFacts) -> bool {
    let CallerConfig { unix, certificate, network, .. } = caller;
    unix.as_ref().is_none_or(|own| facts.unix.as_ref().is_some_and(|peer| is_process(own, peer)))
        && certificate
            .as_ref()
            .is_none_or(|own| facts.certificate.as_ref().is_some_and(|names| is_named(own, names)))
        && network.as_ref().is_none_or(|networks| {
            facts.address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
        })
}

fn is_process(own: &UnixIdentity, peer: &UnixPeer) -> bool {
    let is_below = |own: &String| {
        peer.cgroup.as_ref().is_some_and(|group| {
            group.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    own.uid.is_none_or(|uid| uid == peer.uid)
        && own.gid.is_none_or(|gid| gid == peer.gid)
        && own.cgroup.as_ref().is_none_or(is_below)
}

fn is_named(own: &CertificateIdentity, names: &CertificateNames) -> bool {
    let is_spiffe = |own: &Vec<String>| {
        // A certificate with a SPIFFE ID has no other URI (X509-SVID §2).
        let [uri] = names.uris.as_slice() else { return false };
        spiffe_segments(uri).is_some_and(|segments| {
            segments.len() == own.len()
                && own.iter().zip(segments).all(|(own, segment)| own == "*" || own == segment)
        })
    };
    let is_dns = |own: &String| {
        names.dns.iter().any(|name| match own.strip_prefix("*.") {
            // A certificate for many names (`*`, `web*`) is not one for all of them, and what is no label is no name.
            Some(domain) => {
                name.split_once('.').is_some_and(|(label, rest)| rest == domain && is_label(label))
            }
            None => name == own,
        })
    };
    own.spiffe_id.as_ref().is_none_or(is_spiffe)
        && own.uri.as_ref().is_none_or(|own| names.uris.contains(own))
        && own.dns.as_ref().is_none_or(is_dns)
}

/// Whether a text is one label of a host name (RFC 1123 §2.1), or one with `_`.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uris: &[&str], dns: &[&str]) -> CertificateNames {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        CertificateNames { uris: owned(uris), dns: owned(dns) }
    }

    #[test]
    fn spiffe_id_matches_whole_segments_of_the_only_uri() {
        let own = CertificateIdentity {
            spiffe_id: Some(["a.org", "ns", "*", "web"].map(str::to_owned).to_vec()),
            uri: None,
            dns: None,
        };
        assert!(is_named(&own, &names(&["spiffe://a.org/ns/prod/web"], &["x"])));
        for uris in [
            &["spiffe://a.org/ns/prod/web", "spiffe://a.org/other"][..],
            &["spiffe://a.org/ns/prod/web/x"],
            &["spiffe://a.org/ns/prod/x/web"],
            &["spiffe://a.org/ns/*/web"],
            &["spiffe://a.org/ns//web"],
            &["spiffe://a.org/ns/../web"],
            &["spiffe://b.org/ns/prod/web"],
            &["SPIFFE://a.org/ns/prod/web"],
            &["spiffe://a.org.b/ns/prod/web"],
            &[],
        ] {
            assert!(!is_named(&own, &names(uris, &[])), "{uris:?}");
        }
    }

    #[test]
    fn dns_wildcard_is_one_label() {
        let own = |dns: &str| CertificateIdentity { spiffe_id: None, uri: None, dns: Some(dns.into()) };
        assert!(is_named(&own("*.a.org"), &names(&[], &["x.a.org"])));
        assert!(is_named(&own("a.org"), &names(&[], &["b.org", "a.org"])));
        for dns in [
            "a.org",
            "x.y.a.org",
            "*.a.org",
            "x*.a.org",
            ".a.org",
            "xa.org",
            " .a.org",
            "x\0.a.org",
            "\u{e9}.a.org",
        ] {
            assert!(!is_named(&own("*.a.org"), &names(&[], &[dns])), "{dns}");
        }
        assert!(!is_named(&own("x.a.org"), &names(&[], &["*.a.org"])));
    }

    #[test]
    fn control_group_matches_itself_and_those_below() {
        let own = UnixIdentity { uid: Some(7), gid: None, cgroup: Some("/system.slice/a.service".into()) };
        let peer = |uid, cgroup: Option<&str>| UnixPeer { uid, gid: 1, cgroup: cgroup.map(Into::into) };
        for group in ["/system.slice/a.service", "/system.slice/a.service/x"] {
            assert!(is_process(&own, &peer(7, Some(group))), "{group}");
        }
        for group in
            [None, Some("/system.slice/a.service2"), Some("/system.slice"), Some("/x/system.slice/a.service")]
        {
            assert!(!is_process(&own, &peer(7, group)), "{group:?}");
        }
        assert!(!is_process(&own, &peer(8, Some("/system.slice/a.service"))));
    }
}
