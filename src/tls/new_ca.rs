//! A new certificate authority (CA), which may be constrained to some hosts.

use std::net::IpAddr;
use std::ops::Range;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DistinguishedName, DnType,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
};

use crate::config::{Host, wildcard};

/// Generates a CA with a name, for these hosts and names below them; `None` for all hosts.
pub(crate) fn generate(
    name: &str,
    hosts: Option<&[Host]>,
    valid: Range<SystemTime>,
) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.not_before = valid.start.into();
    params.not_after = valid.end.into();
    params.distinguished_name = DistinguishedName::new();
    // Distinguishes two CAs in a list of trusted ones.
    params.distinguished_name.push(DnType::CommonName, format!("{name} {:08x}", fastrand::u32(..)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = hosts.map(constraints);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// Name constraints for the hosts (RFC 5280 §4.2.1.10). A type of name of which none is permitted has to be
/// excluded as a whole; otherwise every name of that type is permitted.
fn constraints(hosts: &[Host]) -> NameConstraints {
    let mut permitted = Vec::new();
    let (mut names, mut addresses) = (false, false);
    for host in hosts {
        permitted.push(match host {
            Host::Name(name) => {
                names = true;
                // A tree contains every name below it.
                GeneralSubtree::DnsName(wildcard::suffix(name).unwrap_or(name).to_owned())
            }
            Host::Ip(ip) => {
                addresses = true;
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                    *ip,
                    if ip.is_ipv4() { 32 } else { 128 },
                ))
            }
        });
    }
    let mut excluded = Vec::new();
    if !addresses {
        for any in [IpAddr::from([0; 4]), IpAddr::from([0; 16])] {
            excluded.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(any, 0)));
        }
    }
    if !names {
        // No host has a name under `invalid` (RFC 6761 §6.4).
        permitted.push(GeneralSubtree::DnsName("invalid".into()));
    }
    NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded }
}
