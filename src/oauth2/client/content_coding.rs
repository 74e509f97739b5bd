//! Removes the content coding of an answer (RFC 9110 §8.4). Only `gzip` is asked for.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::oauth2::sanitize::sanitize;

/// The value of `Accept-Encoding`.
pub(super) const ACCEPTED: &str = "gzip";
/// Maximum number of codings: one on top of another is an error of a proxy.
const MAX_CODINGS: usize = 2;

/// Why the content of an answer cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodingError {
    /// The coding was not asked for.
    #[error("has the content coding {0}, which was not asked for")]
    Unknown(String),
    /// The content is not what the coding says.
    #[error("is not valid gzip")]
    Invalid,
    /// The content is too large.
    #[error("is too large")]
    TooLarge,
}

/// The content without the codings that the header names, `max` bytes at most.
pub(super) fn decode(
    headers: &HeaderMap,
    body: Zeroizing<Vec<u8>>,
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, CodingError> {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = names.map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase());
    // Names are compared without case, and `x-gzip` is `gzip` (RFC 9110 §8.4.1).
    let names: Vec<_> = names.filter(|name| !matches!(name.as_str(), "" | "identity" | "none")).collect();
    if let Some(unknown) = names.iter().find(|name| !matches!(name.as_str(), "gzip" | "x-gzip")) {
        return Err(CodingError::Unknown(sanitize(unknown)));
    }
    if names.len() > MAX_CODINGS {
        return Err(CodingError::Invalid);
    }
    names.iter().try_fold(body, |body, _| if body.is_empty() { Ok(body) } else { gunzip(&body, max) })
}

fn gunzip(body: &[u8], max: usize) -> Result<Zeroizing<Vec<u8>>, CodingError> {
    let mut content = Zeroizing::new(Vec::new());
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(limit).read_to_end(&mut content);
    match read {
        Err(_) => Err(CodingError::Invalid),
        Ok(length) if length > max => Err(CodingError::TooLarge),
        Ok(_) => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::GzEncoder;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut zipped = Vec::new();
        GzEncoder::new(content, Compression::fast()).read_to_end(&mut zipped).unwrap();
        zipped
    }

    fn decoded(coding: &str, body: &[u8]) -> Result<Vec<u8>, CodingError> {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, coding.parse().unwrap())]);
        decode(&headers, Zeroizing::new(body.to_vec()), 1000).map(|content| content.to_vec())
    }

    #[test]
    fn gzip_is_decoded_under_each_of_its_names() {
        for coding in ["gzip", "GZIP", "Gzip", "x-gzip", "X-GZip", " gzip ", "identity, gzip", "gzip,"] {
            assert_eq!(decoded(coding, &gzip(b"abc")).unwrap(), b"abc", "{coding}");
        }
        assert_eq!(decoded("gzip, x-gzip", &gzip(&gzip(b"abc"))).unwrap(), b"abc");
        for coding in ["", "identity", "Identity"] {
            assert_eq!(decoded(coding, b"abc").unwrap(), b"abc", "{coding}");
        }
        assert_eq!(decoded("gzip", b"").unwrap(), b"");
    }

    #[test]
    fn content_that_cannot_be_decoded_is_an_error() {
        assert_eq!(decoded("br", b"abc"), Err(CodingError::Unknown("br".into())));
        assert_eq!(decoded("gzip", b"abc"), Err(CodingError::Invalid));
        assert_eq!(decoded("gzip", &gzip(b"abc")[..15]), Err(CodingError::Invalid));
        assert_eq!(decoded("gzip", &gzip(&vec![b' '; 1_000_000])), Err(CodingError::TooLarge));
        assert_eq!(decoded("gzip, gzip, gzip", &gzip(b"abc")), Err(CodingError::Invalid));
    }
}
