//! The sections that hold secrets.

/// The sections in which the value of a key is a secret: the path of the section above, if only one has such
/// a section, and the name. Everything below such a section belongs to it.
///
/// No message shows an unknown key of these sections, because it may be part of a secret: `{ password: a,b }`
/// is a mapping with the keys `password` and `b`. A section whose reader reads a secret must be listed here;
/// reading a secret elsewhere panics in debug builds, and so in every test.
const SECRET_SECTIONS: [(Option<&str>, &str); 10] = [
    (None, "auth"),
    (None, "proxy"),
    (None, "bearer"),
    (None, "jwt"),
    (Some(""), "admin"),
    (Some(""), "credentials"),
    (Some(""), "secret_stores"),
    (Some(""), "shared"),
    (Some(""), "state"),
    (Some("tracing"), "headers"),
];

/// Whether the section `name` in the section at the path `above` holds a secret.
pub(crate) fn holds_secret(above: &str, name: &str) -> bool {
    SECRET_SECTIONS.iter().any(|(path, section)| *section == name && path.is_none_or(|path| path == above))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;

    #[test]
    fn section_is_found_by_name_and_path() {
        assert!(holds_secret("services.a", "auth") && holds_secret("", "state"));
        assert!(holds_secret("tracing", "headers"));
        assert!(!holds_secret("services.a", "state") && !holds_secret("services.a", "tls"));
        assert!(!holds_secret("", "headers"));
    }

    #[test]
    fn unknown_and_duplicate_keys_of_secret_sections_are_hidden() {
        for (above, name) in SECRET_SECTIONS {
            let keys = "{ token: CANARY-1,CANARY-2,CANARY-2, password: x,CANARY-3 }";
            // The keys of these sections themselves are names that the operator chose.
            let is_of_names = ["credentials", "secret_stores"].contains(&name);
            let keys = if is_of_names { format!("{{ crm: {keys} }}") } else { keys.to_owned() };
            let section = format!("{name}: {keys}");
            let text = match above {
                None => format!("services: {{ a: {{ upstream: 'https://a.example', {section} }} }}"),
                Some("") => format!("{section}\nservices: {{}}"),
                Some(above) => format!("{above}: {{ {section} }}\nservices: {{}}"),
            };
            let error = Config::parse(&text, "a.yaml", crate::credential::READERS).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn names_without_a_value_are_hidden_in_secret_sections() {
        for auth in [
            "type: oauth2, grant_type: jwt_bearer, token_url: 'https://a.example', claims: { sub: a,CANARY }",
            "type: oauth2, grant_type: jwt_bearer, token_url: 'https://a.example', claims: { deep: { sub: a,CANARY } }",
            "type: oauth2, grant_type: jwt_bearer, token_url: 'https://a.example', assertion_headers: { typ: a,CANARY }",
            "type: oauth2, grant_type: client_credentials, token_url: 'https://a.example', params: { a: b,CANARY }",
            "type: jwt, private_key: x, claims: { sub: a,CANARY }",
            "type: header, headers: { X-Key: a,CANARY }",
            "type: github_app, permissions: { contents: read,CANARY }",
            "type: login, login_url: 'https://a.example', fields: { password: a,CANARY }",
            "type: login, login_url: 'https://a.example', fields: { password: a }, previous: { password: a,CANARY }",
        ] {
            let text = format!("services: {{ a: {{ upstream: 'https://a.example', auth: {{ {auth} }} }} }}");
            let error = Config::parse(&text, "a.yaml", crate::credential::READERS).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }
}
