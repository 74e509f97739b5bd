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

/// The index of a name that responses often have, in any case; `None` for every other one.
pub(super) fn response_name(name: &[u8]) -> Option<usize> {
    let candidates: &[usize] = match name.len() {
        3 => &[21, 60],
        4 => &[33, 34, 45, 59],
        5 => &[22],
        6 => &[54],
        7 => &[36],
        8 => &[46],
        10 => &[55],
        11 => &[53],
        12 => &[31],
        13 => &[18, 24, 30, 44],
        14 => &[28],
        16 => &[26, 27, 29, 61],
        19 => &[25],
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
        let mut found = 0;
        for (name, _) in FIELDS {
            if let Some(index) = response_name(name.to_ascii_uppercase().as_bytes()) {
                assert_eq!(FIELDS[index - 1].0, name);
                found += 1;
            }
        }
        assert_eq!(found, 25, "the names for which there are candidates");
        assert_eq!(response_name(b"x-other"), None);
    }

    #[test]
    fn index_of_a_status_leads_to_it() {
        assert_eq!(["200", "204", "500", "201", ""].map(status), [Some(8), Some(9), Some(14), None, None]);
    }
}
