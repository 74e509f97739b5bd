//! The canonical request: the parts of a request that are signed, in one form.

use std::borrow::Cow;

use ring::digest;

use super::path::PathRule;
use super::query;
use crate::secret::hex;

/// A request that is signed, as it is sent.
pub(super) struct CanonicalRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path_rule: PathRule,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// Parameters that the signature adds to the query.
    pub(super) query_of_signature: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a SignedHeaders<'a>,
    /// The hash of the body, or the word that stands for it.
    pub(super) payload: &'a str,
}

impl CanonicalRequest<'_> {
    /// The text of the request.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b'\n');
        self.path_rule.append(&mut out, self.path);
        out.push(b'\n');
        query::append(&mut out, self.query, self.query_of_signature);
        out.push(b'\n');
        for (index, (name, value)) in self.headers.0.iter().enumerate() {
            if index > 0 && self.headers.0[index - 1].0 == *name {
                // Another line of the same field.
                out.pop();
                out.push(b',');
            } else {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
            }
            append_value(&mut out, value);
            out.push(b'\n');
        }
        out.push(b'\n');
        out.extend_from_slice(self.headers.names().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.payload.as_bytes());
        out
    }

    /// The hash of the text.
    pub(super) fn digest(&self) -> String {
        hex(digest::digest(&digest::SHA256, &self.text()).as_ref())
    }
}

/// Appends a field value without space around it, each run of spaces as one.
fn append_value(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The header fields that are signed, with names in lower case, in the order of their names. Fields of the same
/// name stay in the order in which they are sent.
#[derive(Default)]
pub(super) struct SignedHeaders<'a>(Vec<(Cow<'a, str>, &'a [u8])>);

impl<'a> SignedHeaders<'a> {
    /// Sorts fields.
    pub(super) fn new(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let lower = |name: &'a str| {
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                Cow::Owned(name.to_ascii_lowercase())
            } else {
                Cow::Borrowed(name)
            }
        };
        let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (lower(name), value)).collect();
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        Self(fields)
    }

    /// The names, joined by semicolons.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| &**name).collect();
        names.dedup();
        names.join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sorted_and_lines_of_one_field_are_joined() {
        let headers = SignedHeaders::new([
            ("X-Amz-Date", &b"20150830T123600Z"[..]),
            ("Host", b"a.example"),
            ("x-amz-meta-a", b" two   spaces "),
            ("X-Amz-Meta-A", b"1"),
            ("x-amz-meta-empty", b""),
        ]);
        assert_eq!(headers.names(), "host;x-amz-date;x-amz-meta-a;x-amz-meta-empty");
        let request = CanonicalRequest {
            method: "GET",
            path_rule: PathRule::of("s3"),
            path: "/",
            query: "",
            query_of_signature: &[],
            headers: &headers,
            payload: "UNSIGNED-PAYLOAD",
        };
        assert_eq!(
            String::from_utf8(request.text()).unwrap(),
            "GET\n/\n\nhost:a.example\nx-amz-date:20150830T123600Z\nx-amz-meta-a:two spaces,1\nx-amz-meta-empty:\n\n\
             host;x-amz-date;x-amz-meta-a;x-amz-meta-empty\nUNSIGNED-PAYLOAD"
        );
    }
}
