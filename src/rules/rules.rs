//! All rules of a service, and the decision about a request.

use std::fmt;

use super::overrides;
use super::path::{Ambiguity, CanonicalPath};
use super::rule::Rule;

/// `allow` and `deny` of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    /// Whether any rule has methods, so that another method in the request counts.
    has_methods: bool,
    /// Whether any rule has a path, so that a path must have one reading.
    has_path: bool,
}

/// A request, as far as rules depend on it.
pub struct RequestView<'r, N> {
    /// The method.
    pub method: &'r str,
    /// Whether it opens a WebSocket.
    pub is_websocket: bool,
    /// The path as the upstream will get it, without the query.
    pub path: &'r str,
    /// The query, if there is one.
    pub query: Option<&'r str>,
    /// The path of `Destination` (RFC 4918 §10.3), which the upstream acts on as well.
    pub destination: Option<&'r str>,
    /// The names of the header fields.
    pub field_names: N,
}

/// The decision about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<'r> {
    /// By this rule of `allow`, or by none because there is no `allow`.
    Allowed(Option<&'r Rule>),
    /// Not allowed.
    Denied(Denial<'r>),
}

/// Why a request is denied.
#[derive(Debug, PartialEq, Eq)]
pub enum Denial<'r> {
    /// By this rule of `deny`.
    Rule(&'r Rule),
    /// No rule of `allow` matches.
    NoRule,
    /// Servers may read the path differently.
    Path(Ambiguity),
    /// A header field or a parameter names another method or path.
    Override,
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "deny: {}", rule.text()),
            Self::NoRule => f.write_str("no rule of allow matches"),
            Self::Path(ambiguity) => write!(f, "servers may read the path differently: {ambiguity}"),
            Self::Override => f.write_str("a header field or a parameter names another method or path"),
        }
    }
}

impl Rules {
    /// Rules; `None` if there are none, so that every request is allowed.
    pub fn new(allow: Vec<Rule>, deny: Vec<Rule>) -> Option<Self> {
        let all = || allow.iter().chain(&deny);
        let (has_methods, has_path) = (all().any(Rule::has_methods), all().any(Rule::has_path));
        let is_empty = allow.is_empty() && deny.is_empty();
        (!is_empty).then_some(Self { allow, deny, has_methods, has_path })
    }

    /// The rules of `allow`.
    pub fn allow(&self) -> &[Rule] {
        &self.allow
    }

    /// The rules of `deny`.
    pub fn deny(&self) -> &[Rule] {
        &self.deny
    }

    /// Decides about a request. `deny` wins. What is ambiguous is denied if a rule depends on it.
    pub fn decide<'n>(&self, request: RequestView<'_, impl Iterator<Item = &'n str>>) -> Decision<'_> {
        let RequestView { method, is_websocket, path, query, destination, mut field_names } = request;
        let hides_another = |name: &str| {
            (self.has_methods && overrides::is_method(name)) || (self.has_path && overrides::is_path(name))
        };
        let hides_in_query = |query: &str| {
            (self.has_methods && overrides::has_method(query))
                || (self.has_path && overrides::has_path(query))
        };
        if field_names.any(hides_another) || query.is_some_and(hides_in_query) {
            return Decision::Denied(Denial::Override);
        }
        let mut decision = self.decide_about(method, is_websocket, path);
        if let (Decision::Allowed(_), Some(destination)) = (&decision, destination)
            && let denied @ Decision::Denied(_) = self.decide_about(method, is_websocket, destination)
        {
            decision = denied;
        }
        decision
    }

    fn decide_about(&self, method: &str, is_websocket: bool, path: &str) -> Decision<'_> {
        let parsed;
        let path = if self.has_path {
            parsed = match CanonicalPath::parse(path) {
                Ok(parsed) => parsed,
                Err(ambiguity) => return Decision::Denied(Denial::Path(ambiguity)),
            };
            Some(&parsed)
        } else {
            None
        };
        let folded = path.filter(|_| !self.deny.is_empty()).map(CanonicalPath::fold);
        if let Some(rule) = self.deny.iter().find(|rule| rule.denies(method, is_websocket, folded.as_ref())) {
            return Decision::Denied(Denial::Rule(rule));
        }
        if self.allow.is_empty() {
            return Decision::Allowed(None);
        }
        match self.allow.iter().find(|rule| rule.allows(method, is_websocket, path)) {
            Some(rule) => Decision::Allowed(Some(rule)),
            None => Decision::Denied(Denial::NoRule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let read = |texts: &[&str]| texts.iter().map(|text| Rule::parse(text, 1).unwrap()).collect();
        Rules::new(read(allow), read(deny)).unwrap()
    }

    fn said(rules: &Rules, method: &str, path: &str) -> String {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let view = RequestView {
            method,
            is_websocket: false,
            path,
            query,
            destination: None,
            field_names: std::iter::empty(),
        };
        match rules.decide(view) {
            Decision::Allowed(None) => "allowed".into(),
            Decision::Allowed(Some(rule)) => format!("allow: {}", rule.text()),
            Decision::Denied(denial) => denial.to_string(),
        }
    }

    #[test]
    fn deny_wins_and_allow_needs_a_match() {
        let rules = rules(&["GET /v1/**", "POST /v1/notes"], &["/v1/admin/**", "GET /v1/*/secret"]);
        assert_eq!(said(&rules, "GET", "/v1/users"), "allow: GET /v1/**");
        assert_eq!(said(&rules, "HEAD", "/v1/users"), "allow: GET /v1/**");
        assert_eq!(said(&rules, "POST", "/v1/notes"), "allow: POST /v1/notes");
        assert_eq!(said(&rules, "POST", "/v1/users"), "no rule of allow matches");
        assert_eq!(said(&rules, "GET", "/v2"), "no rule of allow matches");
        for path in ["/v1/admin", "/v1/ADMIN/x", "/v1/%61dmin/"] {
            assert_eq!(said(&rules, "GET", path), "deny: /v1/admin/**", "{path}");
        }
        assert_eq!(said(&rules, "HEAD", "/v1/a/secret/"), "deny: GET /v1/*/secret");
    }

    #[test]
    fn without_allow_everything_else_is_allowed() {
        let rules = rules(&[], &["DELETE /**"]);
        assert_eq!(said(&rules, "POST", "/x"), "allowed");
        assert_eq!(said(&rules, "delete", "/x"), "deny: DELETE /**");
        assert_eq!(said(&rules, "POST", "/a//b"), "allowed", "no rule depends on the path");
        assert_eq!(
            said(&rules, "POST", "/x?_method=DELETE"),
            "a header field or a parameter names another method or path"
        );
    }

    #[test]
    fn ambiguous_path_is_denied_if_a_rule_has_a_path() {
        let rules = rules(&[], &["/admin/**"]);
        for path in ["//admin", "/x/../admin", "/%2e/admin", "/admin%2fx", "/x;/admin", "*", "/%c0%afadmin"] {
            assert!(said(&rules, "GET", path).starts_with("servers may read the path differently"), "{path}");
        }
        assert_eq!(said(&rules, "GET", "/x?/../admin"), "allowed");
    }

    #[test]
    fn ready_rules_and_parts_are_rules() {
        let read_only = rules(&["read_only"], &[]);
        assert_eq!(said(&read_only, "OPTIONS", "*"), "allow: read_only");
        assert_eq!(said(&read_only, "POST", "/"), "no rule of allow matches");
        let grpc = Rules::new(vec![Rule::of_grpc("pkg.Notes/Get*", 1).unwrap()], vec![]).unwrap();
        assert_eq!(said(&grpc, "POST", "/pkg.Notes/GetNote"), "allow: grpc pkg.Notes/Get*");
        assert_eq!(said(&grpc, "POST", "/pkg.Notes/Delete"), "no rule of allow matches");
        assert!(Rule::of_grpc("Notes", 1).is_err() && Rule::of_grpc("a/b/c", 1).is_err());
        assert_eq!(Rule::of_parts(&["GET"], None, 1).unwrap().text(), "GET /**");
        for text in ["GET", "get /x", "readonly", "GET x", "/x /y", ""] {
            assert!(Rule::parse(text, 1).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_and_destination_cannot_hide_another_request() {
        let rules = rules(&["/public/**"], &[]);
        let with = |field: &'static str, destination: Option<&str>| {
            let view = RequestView {
                method: "MOVE",
                is_websocket: false,
                path: "/public/a",
                query: None,
                destination,
                field_names: [field].into_iter(),
            };
            matches!(rules.decide(view), Decision::Allowed(_))
        };
        assert!(with("Accept", None) && with("Accept", Some("/public/b")));
        assert!(
            !with("X-Original-URL", None)
                && !with("Accept", Some("/admin"))
                && !with("Accept", Some("/public/../x"))
        );
        assert!(with("X-HTTP-Method-Override", None), "no rule depends on the method");
    }
}
