//! A trust store for Java: a PKCS #12 file (RFC 7292) with certificates and nothing else. They are public, so nothing is encrypted,
//! and there is no password. Java reads such a file since version 8.

use rustls::pki_types::CertificateDer;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

/// `data` (RFC 5652 §4).
const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
/// `certBag` (RFC 7292 §4.2.3).
const CERTIFICATE_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
/// `x509Certificate` (RFC 2985).
const X509_CERTIFICATE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
/// `friendlyName` (RFC 2985 §5.5.1): what Java calls the alias.
const FRIENDLY_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 20];
/// Oracle's attribute of a certificate that is trusted. Without it, Java ignores a certificate that has no key.
const TRUSTED_KEY_USAGE: &[u64] = &[2, 16, 840, 1, 113_894, 746_875, 1, 1];
/// `anyExtendedKeyUsage` (RFC 5280 §4.2.1.12).
const ANY_USAGE: &[u64] = &[2, 5, 29, 37, 0];

/// The file with these certificates.
pub(super) fn of(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let bags = yasna::construct_der(|writer| {
        writer.write_sequence_of(|writer| {
            for (number, certificate) in certificates.iter().enumerate() {
                bag(writer.next(), &format!("sidekey-{number}"), certificate);
            }
        });
    });
    let contents = yasna::construct_der(|writer| {
        writer.write_sequence_of(|writer| data(writer.next(), &bags));
    });
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(3);
            data(writer.next(), &contents);
        });
    })
}

fn oid(numbers: &[u64]) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(numbers)
}

/// A `ContentInfo` with content that is not encrypted.
fn data(writer: DERWriter<'_>, content: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(DATA));
        writer.next().write_tagged(Tag::context(0), |writer| writer.write_bytes(content));
    });
}

fn bag(writer: DERWriter<'_>, name: &str, certificate: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(CERTIFICATE_BAG));
        writer.next().write_tagged(Tag::context(0), |writer| {
            writer.write_sequence(|writer| {
                writer.next().write_oid(&oid(X509_CERTIFICATE));
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_bytes(certificate));
            });
        });
        writer.next().write_set_of(|writer| {
            attribute(writer.next(), FRIENDLY_NAME, |writer| writer.write_bmp_string(name));
            attribute(writer.next(), TRUSTED_KEY_USAGE, |writer| writer.write_oid(&oid(ANY_USAGE)));
        });
    });
}

fn attribute(writer: DERWriter<'_>, id: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(id));
        writer.next().write_set_of(|writer| value(writer.next()));
    });
}
