//! The property of the names in a client certificate: a second reader of DER finds the same ones, and a SPIFFE ID is what its
//! standard says.
//!
//! An input is a certificate in DER, or the text of a URI.

use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, Tag};

use crate::callers::fuzzing::names_in;
use crate::config::spiffe_segments;

/// Longest SPIFFE ID after its scheme (SPIFFE-ID §2.3).
const MAX_SPIFFE_ID: usize = 2048;

/// Names of URIs and DNS names, as they are written.
type Names = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// Checks the property on a certificate or a URI.
pub fn caller_certificate(input: &[u8]) {
    if let Ok(uri) = std::str::from_utf8(input) {
        check_spiffe_id(uri);
    }
    let Some((uris, dns)) = names_in(input) else { return };
    for uri in &uris {
        check_spiffe_id(uri);
    }
    let Ok(expected) = names(input) else { return };
    let bytes = |names: &[String]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    let lower = |names: &[Vec<u8>]| names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
    assert_eq!((bytes(&uris), bytes(&dns)), (expected.0, lower(&expected.1)), "other names");
}

/// The names in a certificate (RFC 5280 §4.1), read by a strict reader of DER.
fn names(certificate: &[u8]) -> ASN1Result<Names> {
    let tagged = |number| Tag::context(number);
    let skip = |reader: BERReader<'_, '_>| reader.read_der().map(drop);
    yasna::parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            let names = reader.next().read_sequence(|reader| {
                reader.read_optional(|reader| reader.read_tagged(tagged(0), skip))?;
                // Serial number, algorithm, issuer, validity, subject, key.
                for _ in 0..6 {
                    skip(reader.next())?;
                }
                // Unique identifiers of issuer and subject.
                for number in [1, 2] {
                    reader.read_optional(|reader| reader.read_tagged_implicit(tagged(number), skip_bits))?;
                }
                let found = reader.read_optional(|reader| reader.read_tagged(tagged(3), extensions))?;
                Ok(found.unwrap_or_default())
            })?;
            skip(reader.next())?;
            skip(reader.next())?;
            Ok(names)
        })
    })
}

fn skip_bits(reader: BERReader<'_, '_>) -> ASN1Result<()> {
    reader.read_bitvec_bytes().map(drop)
}

fn extensions(reader: BERReader<'_, '_>) -> ASN1Result<Names> {
    let own: Vec<u64> = OID_X509_EXT_SUBJECT_ALT_NAME.iter().expect("numbers of 64 bits").collect();
    let own = ObjectIdentifier::from_slice(&own);
    let mut names = Names::default();
    reader.read_sequence_of(|reader| {
        reader.read_sequence(|reader| {
            let id = reader.next().read_oid()?;
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method alone is of one lifetime"
            )]
            reader.read_optional(|reader| reader.read_bool())?;
            let value = reader.next().read_bytes()?;
            if id == own {
                let (uris, dns) = yasna::parse_der(&value, general_names)?;
                names.0.extend(uris);
                names.1.extend(dns);
            }
            Ok(())
        })
    })?;
    Ok(names)
}

fn general_names(reader: BERReader<'_, '_>) -> ASN1Result<Names> {
    let mut names = Names::default();
    reader.read_sequence_of(|reader| {
        let name = reader.read_tagged_der()?;
        let list = match name.tag().tag_number {
            6 => &mut names.0,
            2 => &mut names.1,
            0..=8 => return Ok(()),
            _ => return Err(ASN1Error::new(ASN1ErrorKind::Invalid)),
        };
        list.push(name.value().to_vec());
        Ok(())
    })?;
    Ok(names)
}

/// A text is in segments exactly if it is a SPIFFE ID (SPIFFE-ID §2), and the segments are the text.
fn check_spiffe_id(text: &str) {
    let is_id = text.strip_prefix("spiffe://").is_some_and(|rest| {
        let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
        let has = |text: &str, allowed: &str| text.chars().all(|found| allowed.contains(found));
        let lower = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
        let any = format!("{lower}ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        let is_segment = |segment: &str| !["", ".", ".."].contains(&segment) && has(segment, &any);
        !domain.is_empty()
            && has(domain, lower)
            && path.is_none_or(|path| path.split('/').all(is_segment))
            && rest.len() <= MAX_SPIFFE_ID
    });
    let segments = spiffe_segments(text);
    assert_eq!(segments.is_some(), is_id, "{text}");
    if let Some(segments) = segments {
        assert_eq!(format!("spiffe://{}", segments.join("/")), text);
        // A reader of URLs finds the same trust domain, and nothing but a path.
        if let Ok(url) = url::Url::parse(text) {
            assert_eq!(url.host_str(), Some(segments[0]), "{text}");
            let parts = (url.username(), url.password(), url.port(), url.query(), url.fragment());
            assert_eq!(parts, ("", None, None, None, None), "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_reader_finds_the_names() {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/caller_certificate");
        let (uris, dns) = names(&std::fs::read(seeds.join("spiffe_and_dns")).unwrap()).unwrap();
        assert_eq!(uris, [b"spiffe://example.org/ns/prod/web"]);
        assert_eq!(dns, [&b"Web.example.org"[..], b"*.apps.example.org"]);
    }
}
