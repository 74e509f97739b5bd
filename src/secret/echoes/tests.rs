use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// The text after the secrets in it were masked, in parts of these sizes as a connection delivers them, and the number of secrets.
fn masked(secrets: &[&str], text: &str, sizes: &[usize]) -> (String, u64) {
    let echoes = Echoes::of(secrets.iter().copied());
    let (mut held, mut out, mut count) = (Vec::new(), Vec::new(), 0);
    let mut rest = text.as_bytes();
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (part, after) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        rest = after;
        held.extend_from_slice(part);
        let found = echoes.mask_part(&mut held, usize::MAX, rest.is_empty());
        count += found.count;
        out.extend(held.drain(..held.len() - found.pending));
    }
    assert!(held.is_empty());
    (String::from_utf8(out).unwrap(), count)
}

/// A text in the encodings that an upstream may repeat it in.
fn encodings(secret: &str) -> Vec<String> {
    let each = |write: &dyn Fn(&mut String, char)| {
        secret.chars().fold(String::new(), |mut out, c| {
            if c.is_ascii_alphanumeric() {
                out.push(c);
            } else {
                write(&mut out, c);
            }
            out
        })
    };
    let html = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#039;".to_owned(),
        other => other.to_string(),
    };
    let json = serde_json::to_string(secret).unwrap();
    let json = json.trim_start_matches('"');
    vec![
        secret.to_owned(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        each(&|out, c| {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| write!(out, "%{byte:02X}").unwrap());
        }),
        each(&|out, c| {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| write!(out, "%{byte:02x}").unwrap());
        }),
        json[..json.len() - 1].to_owned(),
        json[..json.len() - 1].replace('/', "\\/"),
        each(&|out, c| {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| write!(out, "\\u{unit:04X}").unwrap());
        }),
        each(&|out, c| out.push_str(&html(c))),
        each(&|out, c| write!(out, "&#{};", u32::from(c)).unwrap()),
        each(&|out, c| write!(out, "&#x{:X};", u32::from(c)).unwrap()),
        each(&|out, c| match c {
            '%' | '\\' => out.push(c),
            _ => write!(out, "&#x{:04X};", u32::from(c)).unwrap(),
        }),
    ]
}

#[test]
fn secret_is_masked_in_every_form_and_the_length_stays() {
    let echoes = Echoes::of(["S3cret/k+y=1", "short", "/+/+/+/+"]);
    let mut text =
        b"X: S3cret/k+y=1, S3cret%2Fk%2By%3D1, S3cret%252fk%252by%253d1, S3cret, short, /+/+/+/+\r\n"
            .to_vec();
    let expected = text.len();
    assert_eq!(echoes.mask(&mut text), 4);
    assert_eq!(text.len(), expected);
    let text = String::from_utf8(text).unwrap().replace('*', "");
    assert_eq!(text, "X: , , , S3cret, short, \r\n");
    assert_eq!(Echoes::default().mask(&mut b"S3cret/k+y=1".to_vec()), 0);
    assert!(!format!("{echoes:?}").contains("S3cret"));
}

#[test]
fn secret_is_masked_if_it_was_encoded_more_than_once() {
    let secret = "S3cret/k+y=1\"";
    for text in [
        // A URL in a URL in a URL.
        "S3cret%25252Fk%25252By%25253D1%252522",
        // JSON in JSON.
        r#"S3cret\\/k+y=1\\\""#,
        r"S3cret\\u002Fk\\u002by\\u003d1\\u0022",
        // As PHP encodes for HTML 5.
        "S3cret&sol;k&plus;y&equals;1&quot;",
        "S3cret&#x002F;k&#x002B;y&#x003D;1&#x0022;",
    ] {
        assert_eq!(masked(&[secret], text, &[3]), ("*".repeat(text.len()), 1), "{text}");
    }
    let echoes = Echoes::of(["p\u{e4}ssword"]);
    for text in [&b"p\xe4ssword"[..], b"p%E4ssword", b"p%e4ssword"] {
        let mut text = text.to_vec();
        assert_eq!(echoes.mask(&mut text), 1);
        assert_eq!(text, vec![b'*'; text.len()]);
    }
}

#[test]
fn secret_of_asterisks_ends_the_search() {
    assert_eq!(Echoes::of(["********"]).mask(&mut b"a ******** b".to_vec()), 1);
}

#[test]
fn secret_is_masked_wherever_a_text_is_split() {
    for secret in [
        "cAn4ry.9f3e/x+y",
        "a\"b\\c<d>&e'f g%41",
        "%25%2541&x;y",
        "p\u{e4}ssw\u{f6}rd \u{1f511}",
        "&&&&\\\\x9",
    ] {
        for encoded in encodings(secret) {
            let text = format!("{{\"sent\":\"{encoded}\"}}");
            let expected = format!("{{\"sent\":\"{}\"}}", "*".repeat(encoded.len()));
            for at in 1..text.len() {
                assert_eq!(masked(&[secret], &text, &[at]), (expected.clone(), 1), "{encoded} at {at}");
            }
            assert_eq!(masked(&[secret], &text, &[1, 2, 3]), (expected, 1), "{encoded}");
        }
    }
}

#[test]
fn text_that_only_begins_as_a_secret_passes() {
    let secret = "Secret.Secret.1";
    for text in ["Secret.Secret.2", "Secret.Secret.", "Secret%2", "xSecret.Secret%2E", "SecretSecret.1", ""] {
        for size in 1..=text.len().max(1) {
            assert_eq!(masked(&[secret], text, &[size]), (text.to_owned(), 0), "{text} in parts of {size}");
        }
    }
    assert_eq!(masked(&[secret], "Secret.Secret.Secret.1", &[1]).0, "Secret.***************");
}

#[test]
fn only_the_beginning_of_a_secret_is_held_back() {
    let echoes = Echoes::of(["Secret.1", "other=secret"]);
    for (text, pending) in
        [("a", 0), ("aS", 1), ("Secret", 6), ("Secret%2", 8), ("x other%3", 7), ("Secret.2", 0)]
    {
        let mut bytes = text.as_bytes().to_vec();
        assert_eq!(echoes.mask_part(&mut bytes, usize::MAX, false), Masked { count: 0, pending }, "{text}");
        assert_eq!(echoes.mask_part(&mut bytes, usize::MAX, true).pending, 0);
    }
}

#[test]
fn secret_that_begins_behind_the_limit_passes() {
    let echoes = Echoes::of(["Secret.1"]);
    let mut text = b"Secret.1 Secret.1".to_vec();
    assert_eq!(echoes.mask_part(&mut text, 9, false), Masked { count: 1, pending: 0 });
    assert_eq!(text, b"******** Secret.1");
    assert_eq!(echoes.mask_part(&mut text, 10, false).count, 1);
}

proptest! {
    /// However a text is split, the same is masked as in the whole text.
    #[test]
    fn parts_are_masked_as_the_whole(
        secret in "[ab%\\\\&;25+ /]{8,12}",
        before in "[ab%\\\\&;25+ /]{0,12}",
        after in "[ab%\\\\&;25+ /]{0,12}",
        encoding in 0usize..10,
        sizes in proptest::collection::vec(1usize..8, 1..6),
    ) {
        let encoded = &encodings(&secret)[encoding];
        let text = format!("{before}{encoded}{after}");
        let (parts, _) = masked(&[&secret], &text, &sizes);
        let (whole, count) = masked(&[&secret], &text, &[text.len()]);
        prop_assert_eq!(parts.len(), text.len());
        prop_assert!(count > 0, "{} in {}", secret, text);
        for encoded in encodings(&secret) {
            prop_assert!(!whole.contains(&encoded), "{} in {}", encoded, whole);
            prop_assert!(!parts.contains(&encoded), "{} in {}", encoded, parts);
        }
    }
}
