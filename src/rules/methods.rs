//! The methods of a rule.

/// The word for the opening of a WebSocket, which is a `GET` (RFC 6455 §4.1) or a `CONNECT` (RFC 8441), and then carries
/// anything. No other method covers it.
pub(super) const WEBSOCKET: &str = "WEBSOCKET";

/// The methods of a rule. `GET` covers `HEAD`, whose response has the same fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Methods {
    /// All, WebSockets included.
    Any,
    /// These.
    Only(Vec<String>),
}

impl Methods {
    /// The methods of a list such as `GET,HEAD`; `*` is any.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        Self::of(text.split(','))
    }

    /// These methods. A name that is no token in capital letters is an error: it would never match (RFC 9110 §9.1).
    pub(super) fn of<'m>(names: impl Iterator<Item = &'m str>) -> Option<Self> {
        let is_method = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'-' | b'_'))
        };
        let names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        (!names.is_empty() && names.iter().all(|name| is_method(name))).then_some(Self::Only(names))
    }

    /// Whether a rule that allows covers a method.
    #[inline]
    pub(super) fn matches(&self, method: &str, is_websocket: bool) -> bool {
        self.covers(method, is_websocket, |one, other| one == other)
    }

    /// Whether a rule that denies covers a method: some servers ignore its case.
    #[inline]
    pub(super) fn matches_loosely(&self, method: &str, is_websocket: bool) -> bool {
        // What hides in a WebSocket is denied by a rule about `GET` as well.
        self.covers(method, is_websocket, str::eq_ignore_ascii_case)
            || (is_websocket && self.covers(method, false, str::eq_ignore_ascii_case))
    }

    #[inline]
    fn covers(&self, method: &str, is_websocket: bool, is_same: impl Fn(&str, &str) -> bool) -> bool {
        let Self::Only(names) = self else { return true };
        names.iter().any(|name| {
            if is_websocket {
                name == WEBSOCKET
            } else {
                is_same(name, method) || (name == "GET" && is_same("HEAD", method))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_cover_head_and_not_websockets() {
        let get = Methods::parse("GET").unwrap();
        assert!(get.matches("GET", false) && get.matches("HEAD", false));
        assert!(!get.matches("get", false) && !get.matches("POST", false) && !get.matches("GET", true));
        assert!(get.matches_loosely("get", false) && get.matches_loosely("GET", true));
        let websocket = Methods::parse("WEBSOCKET").unwrap();
        assert!(websocket.matches("GET", true) && !websocket.matches("GET", false));
        assert!(Methods::parse("*").unwrap().matches("PURGE", true));
        assert_eq!(Methods::parse("GET, POST"), Methods::of(["GET", "POST"].into_iter()));
        for invalid in ["", "get", "GET,", "G E T", "GET;POST", "GET/"] {
            assert_eq!(Methods::parse(invalid), None, "{invalid}");
        }
    }
}
