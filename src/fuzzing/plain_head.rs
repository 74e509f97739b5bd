//! A second reader of HTTP/1.1 heads, as plain as RFC 9112 allows. It shares no code with the one of the program.

/// The start line and the fields of a head.
pub(super) struct PlainHead<'a> {
    pub(super) start: &'a [u8],
    /// Names and values, values without white space around them.
    pub(super) fields: Vec<(&'a [u8], &'a [u8])>,
}

/// How a head says that its body ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PlainFraming {
    /// It says nothing.
    Unstated,
    Length(u64),
    Chunked,
}

impl<'a> PlainHead<'a> {
    /// Reads a head whose last line is empty. Empty lines before it are skipped (RFC 9112 §2.2).
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines = lines.skip_while(|line| line.is_empty());
        let start = lines.next().expect("a start line");
        let mut fields = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':').expect("a field has a colon");
            fields.push((&line[..colon], line[colon + 1..].trim_ascii()));
        }
        Self { start, fields }
    }

    /// Reads the head of an upstream. White space between a name and its colon belongs to neither: a proxy removes it (RFC 9112 §5.1).
    pub(super) fn read_of_upstream(bytes: &'a [u8]) -> Self {
        let mut head = Self::read(bytes);
        for (name, _) in &mut head.fields {
            let end = name.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
            *name = end.map_or(&[][..], |end| &name[..=end]);
        }
        head
    }

    /// The values of the fields with this name.
    pub(super) fn values(&self, name: &str) -> Vec<&'a [u8]> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| *value)
            .collect()
    }

    /// Whether there is a field with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// The end of the body, which every reader must find at the same place (RFC 9112 §6.3).
    pub(super) fn framing(&self) -> PlainFraming {
        let (lengths, codings) = (self.values("content-length"), self.values("transfer-encoding"));
        assert!(lengths.len() + codings.len() <= 1, "framing is stated twice");
        if let Some(coding) = codings.first() {
            assert!(coding.eq_ignore_ascii_case(b"chunked"), "a transfer coding that is not chunked alone");
            return PlainFraming::Chunked;
        }
        let Some(length) = lengths.first() else { return PlainFraming::Unstated };
        assert!(!length.is_empty() && length.iter().all(u8::is_ascii_digit), "a length that is no number");
        PlainFraming::Length(
            std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok()).expect("64 bits"),
        )
    }

    /// Asserts that every name is a token (RFC 9110 §5.6.2) and that no value has a control character other than a tab.
    pub(super) fn assert_fields_are_clean(&self) {
        for (name, value) in &self.fields {
            assert!(is_token(name), "a field name that is no token: {}", name.escape_ascii());
            assert!(
                !value.iter().copied().any(is_control),
                "a field value with a control character: {}",
                value.escape_ascii()
            );
        }
    }
}

/// Asserts that the bytes are one head, each of whose lines ends as every reader ends it.
pub(super) fn assert_is_one_head(bytes: &[u8]) {
    assert!(!bytes.contains(&0), "NUL in a head");
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(bytes.get(at + 1), Some(&b'\n'), "a bare carriage return"),
            b'\n' => assert!(at > 0 && bytes[at - 1] == b'\r', "a bare line feed"),
            _ => {}
        }
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    assert_eq!(end.map(|end| end + 4), Some(bytes.len()), "the head ends before its end");
}

/// Whether the bytes are a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let is_character = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_character)
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}
