//! The query of the canonical request: decoded, encoded as AWS does it, and sorted.

use percent_encoding::percent_decode;

use super::encode;

/// Appends the query as it is signed: `query` is as it is sent, and `more` are parameters of the signature,
/// neither encoded nor in the query.
///
/// A `+` counts as a space, as services read it.
pub(super) fn append(out: &mut Vec<u8>, query: &str, more: &[(&str, &str)]) {
    let sent = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded_and_encoded(name), decoded_and_encoded(value))
    });
    let more = more
        .iter()
        .map(|(name, value)| (encode::encoded(name.as_bytes()), encode::encoded(value.as_bytes())));
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = sent.chain(more).collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

fn decoded_and_encoded(text: &str) -> Vec<u8> {
    let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    let decoded: Vec<u8> = percent_decode(&spaced).collect();
    encode::encoded(&decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(query: &str) -> String {
        let mut out = Vec::new();
        append(&mut out, query, &[]);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn query_is_sorted_and_encoded_once() {
        for (query, expected) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=b&a=a", "a=a&a=b"),
            ("acl", "acl="),
            ("prefix=a%2fb&list-type=2", "list-type=2&prefix=a%2Fb"),
            ("q=a+b&r=a%2Bb", "q=a%20b&r=a%2Bb"),
            ("a=1=2", "a=1%3D2"),
            ("&&a=%zz&", "a=%25zz"),
            ("Param-3=3&Param=2&%E1%88%B4=1", "%E1%88%B4=1&Param=2&Param-3=3"),
        ] {
            assert_eq!(signed(query), expected, "{query}");
        }
    }
}
