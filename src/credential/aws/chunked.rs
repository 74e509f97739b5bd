//! A body that the caller sent in chunks of its own (`Content-Encoding: aws-chunked`), as the plain request that it stands for.
//!
//! Each chunk may have a signature, by a key that the service does not know: such a request could not be passed on.
//! The chunks are joined, their signatures are dropped, and a checksum in the trailers becomes a header field.

use crate::credential::RewrittenRequest;

const MALFORMED: &str = "The body is not in the chunks that its X-Amz-Content-Sha256 announces, or is incomplete. Nothing was forwarded.";

/// The fields that describe the chunks.
const OF_CHUNKS: [&str; 5] = [
    "content-length",
    "transfer-encoding",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
];

/// The plain form of a request with this head and these chunks; or why there is none.
pub(super) fn unwrap(head: &[u8], chunks: &[u8]) -> Result<RewrittenRequest, &'static str> {
    let (body, trailers) = join(chunks).ok_or(MALFORMED)?;
    let mut out = Vec::with_capacity(head.len() + 64);
    for (index, line) in lines(head).enumerate() {
        let Some((name, value)) = split(line).filter(|_| index > 0) else {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
            continue;
        };
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("x-amz-decoded-content-length") && value != body.len().to_string().as_bytes() {
            return Err(MALFORMED);
        }
        if OF_CHUNKS.iter().any(|other| is(other)) {
            continue;
        }
        if is("content-encoding") {
            let codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let kept: Vec<_> =
                codings.filter(|coding| !coding.eq_ignore_ascii_case(b"aws-chunked")).collect();
            if !kept.is_empty() {
                field(&mut out, name, &kept.join(&b", "[..]));
            }
            continue;
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    field(&mut out, b"Content-Length", body.len().to_string().as_bytes());
    for (name, value) in trailers {
        // The signature of the trailers is that of the caller.
        if name.len() > 15 && name[..15].eq_ignore_ascii_case(b"x-amz-checksum-") {
            field(&mut out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(RewrittenRequest { head: out, body })
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The lines of a head, without the empty one at its end.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// Name and value of a field.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
}

type Trailers<'a> = Vec<(&'a [u8], &'a [u8])>;

/// The content of the chunks, and the trailers; `None` if something is wrong or missing.
fn join(mut rest: &[u8]) -> Option<(Vec<u8>, Trailers<'_>)> {
    let mut content = Vec::with_capacity(rest.len());
    loop {
        let line = next_line(&mut rest)?;
        let size = line.split(|byte| *byte == b';').next()?;
        if size.is_empty() || size.len() > 8 || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        content.extend_from_slice(rest.get(..size)?);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
    let mut trailers = Vec::new();
    while !rest.is_empty() {
        let line = next_line(&mut rest)?;
        if !line.is_empty() {
            trailers.push(split(line)?);
        }
    }
    Some((content, trailers))
}

/// Takes a line off the front. The last one may lack its end.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let (line, after) = match memchr::memmem::find(rest, b"\r\n") {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (*rest, &[][..]),
    };
    *rest = after;
    Some(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Encoding: aws-chunked, gzip\r\nContent-Length: 200\r\n\
                        X-Amz-Decoded-Content-Length: 10\r\nX-Amz-Trailer: x-amz-checksum-crc32\r\nX-Amz-Meta-A: b\r\n\
                        X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\r\n\r\n";
    const CHUNKS: &str = "6;chunk-signature=aa\r\nhello \r\n4;chunk-signature=bb\r\n\r\n\r\n\r\n0;chunk-signature=cc\r\n\
                          x-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:dd\r\n\r\n";

    #[test]
    fn chunks_are_joined_and_their_checksum_becomes_a_field() {
        let plain = unwrap(HEAD.as_bytes(), CHUNKS.as_bytes()).unwrap();
        assert_eq!(plain.body, b"hello \r\n\r\n");
        assert_eq!(
            String::from_utf8(plain.head).unwrap(),
            "PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nX-Amz-Meta-A: b\r\nContent-Length: 10\r\n\
             x-amz-checksum-crc32: NhCmhg==\r\n\r\n"
        );
        let head = "PUT / HTTP/1.1\r\nContent-Encoding: aws-chunked\r\nTransfer-Encoding: chunked\r\n\r\n";
        let plain = unwrap(head.as_bytes(), b"0;chunk-signature=cc\r\n\r\n").unwrap();
        assert_eq!(plain.head, b"PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn chunks_that_are_wrong_or_cut_are_no_request() {
        for cut in 0..=CHUNKS.find("0;chunk").unwrap() {
            assert!(unwrap(HEAD.as_bytes(), &CHUNKS.as_bytes()[..cut]).is_err(), "{cut}");
        }
        for (from, to) in [
            ("6;", "7;"),
            ("6;", "x;"),
            ("6;", ";"),
            ("hello ", "hello"),
            ("4;", "+4;"),
            ("6;", "fffffffff;"),
        ] {
            assert!(unwrap(HEAD.as_bytes(), CHUNKS.replace(from, to).as_bytes()).is_err(), "{from} {to}");
        }
        let another = HEAD.replace("Length: 10", "Length: 11");
        assert!(unwrap(another.as_bytes(), CHUNKS.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_content_comes_out_as_it_was(content in proptest::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
            let mut chunks = Vec::new();
            for chunk in content.chunks(size) {
                chunks.extend_from_slice(format!("{:x};chunk-signature=00\r\n", chunk.len()).as_bytes());
                chunks.extend_from_slice(chunk);
                chunks.extend_from_slice(b"\r\n");
            }
            chunks.extend_from_slice(b"0;chunk-signature=00\r\n\r\n");
            let plain = unwrap(b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", &chunks).unwrap();
            prop_assert_eq!(plain.body, content);
        }
    }
}
