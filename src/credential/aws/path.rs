//! The path of the canonical request. It is what the service makes of the path that is sent, which stays as the
//! caller wrote it.
//!
//! | service | decoded first | dot segments and double slashes | `/a%20b@c` is signed as |
//! |---|---|---|---|
//! | S3 | yes | stay: they are part of a key | `/a%20b%40c` |
//! | others | no | are removed (RFC 3986 §5.2.4) | `/a%2520b%40c` |

use percent_encoding::percent_decode_str;

use super::encode;

/// How a service makes the path of the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathRule {
    /// Whether the path is decoded first, so that a path that is encoded already is not encoded twice.
    pub(super) is_decoded: bool,
    /// Whether dot segments and empty segments are removed.
    pub(super) is_normalized: bool,
}

impl PathRule {
    /// The rule of a service, by the name in the scope of its signatures.
    pub(super) fn of(service: &str) -> Self {
        let is_s3 = is_s3(service);
        Self { is_decoded: is_s3, is_normalized: !is_s3 }
    }

    /// Appends the path as it is signed. `path` is as it is sent.
    pub(super) fn append(self, out: &mut Vec<u8>, path: &str) {
        let start = out.len();
        if self.is_decoded {
            let decoded: Vec<u8> = percent_decode_str(path).collect();
            encode::append(out, &decoded, true);
        } else if self.is_normalized {
            append_normalized(out, path);
        } else {
            encode::append(out, path.as_bytes(), true);
        }
        if out.len() == start {
            out.push(b'/');
        }
    }
}

/// Whether a service has the rules of S3, for paths and for bodies.
pub(super) fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3-object-lambda" | "s3-outposts" | "s3express")
}

fn append_normalized(out: &mut Vec<u8>, path: &str) {
    let start = out.len();
    let mut ends_with_slash = true;
    for segment in path.split('/') {
        match segment {
            "" | "." => ends_with_slash = true,
            ".." => {
                let parent = memchr::memrchr(b'/', &out[start..]).unwrap_or(0);
                out.truncate(start + parent);
                ends_with_slash = true;
            }
            _ => {
                out.push(b'/');
                encode::append(out, segment.as_bytes(), false);
                ends_with_slash = false;
            }
        }
    }
    if ends_with_slash {
        out.push(b'/');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signed(service: &str, path: &str) -> String {
        let mut out = b"GET /\n".to_vec();
        PathRule::of(service).append(&mut out, path);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn path_of_s3_is_encoded_once_and_stays_as_it_is() {
        for (path, expected) in [
            ("/bucket/JULY%2027%20TO%2031.zip", "/bucket/JULY%2027%20TO%2031.zip"),
            ("/mac@2x.png", "/mac%402x.png"),
            // The example of the S3 API reference: `PUT /test$file.text`.
            ("/test$file.text", "/test%24file.text"),
            ("/x_$folder$", "/x_%24folder%24"),
            ("/a%2bb", "/a%2Bb"),
            ("/a+b", "/a%2Bb"),
            ("/a%2Fb.txt", "/a/b.txt"),
            ("//key//../%2E/./", "//key//../././"),
            ("/100%", "/100%25"),
            ("/%E1%88%B4", "/%E1%88%B4"),
            ("", "/"),
        ] {
            assert_eq!(signed("s3", path), expected, "{path}");
        }
    }

    #[test]
    fn path_of_other_services_is_normalized_and_encoded_again() {
        for (path, expected) in [
            ("/bucket/JULY%2027%20TO%2031.zip", "/bucket/JULY%252027%2520TO%252031.zip"),
            ("/mac@2x.png", "/mac%402x.png"),
            ("/a%2Fb.txt", "/a%252Fb.txt"),
            ("/x_$folder$", "/x_%24folder%24"),
            // aws/aws-sdk-js#853: what the service said it expected.
            ("/_search/%3Fa=b%20c", "/_search/%253Fa%3Db%2520c"),
            ("//key//../x/./", "/x/"),
            ("/../..", "/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a", "/a"),
            ("", "/"),
        ] {
            assert_eq!(signed("execute-api", path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn signed_path_is_absolute_and_encoded(path in "(/[a-c.%@ ]{0,4}){0,5}") {
            for service in ["s3", "es"] {
                let signed = signed(service, &path);
                prop_assert!(signed.starts_with('/'), "{signed}");
                prop_assert!(!signed.contains(['@', ' ']), "{signed}");
            }
            let signed = signed("es", &path);
            prop_assert!(!signed.contains("//") && !signed.split('/').any(|part| part == ".."), "{signed}");
        }
    }
}
