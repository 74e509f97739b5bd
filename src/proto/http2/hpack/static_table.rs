//! The static table (RFC 7541, appendix A).

/// The fields in the order of their indexes, the first of which is 1.
pub(super) const FIELDS: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The number of fields of the table.
pub(super) const LENGTH: usize = FIELDS.len();

/// The index of a name, in any case; `None` if the table does not have it. Pseudo-header fields are left out.
pub(super) fn name(name: &[u8]) -> Option<usize> {
    let candidates: &[usize] = match name.len() {
        3 => &[21, 60],
        4 => &[33, 34, 37, 38, 45, 59],
        5 => &[22, 50],
        6 => &[19, 32, 35, 54],
        7 => &[36, 51, 52],
        8 => &[39, 42, 46],
        10 => &[55, 58],
        11 => &[53],
        12 => &[31, 47],
        13 => &[18, 23, 24, 30, 41, 44],
        14 => &[15, 28],
        15 => &[16, 17],
        16 => &[26, 27, 29, 61],
        17 => &[40, 57],
        18 => &[48],
        19 => &[25, 43, 49],
        25 => &[56],
        27 => &[20],
        _ => &[],
    };
    candidates.iter().copied().find(|index| FIELDS[index - 1].0.as_bytes().eq_ignore_ascii_case(name))
}

/// The index of a `:status` with its value; `None` if the table has it with other values only.
pub(super) fn status(status: &str) -> Option<usize> {
    (8..=14).find(|index| FIELDS[index - 1].1 == status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_of_a_name_leads_to_it() {
        for (field, (known, _)) in (1..).zip(FIELDS) {
            let expected = (!known.starts_with(':')).then_some(field);
            assert_eq!(name(known.to_ascii_uppercase().as_bytes()), expected, "{known}");
        }
        assert_eq!(name(b"x-other"), None);
    }

    #[test]
    fn index_of_a_status_leads_to_it() {
        assert_eq!(["200", "204", "500", "201", ""].map(status), [Some(8), Some(9), Some(14), None, None]);
    }
}
