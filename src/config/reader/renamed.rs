//! Keys that had another name once.

/// A key that was renamed.
pub(crate) struct RenamedKey {
    /// The section that had it, as the name of a key that no other section has.
    section: &'static str,
    /// The name that it had.
    pub(crate) old: &'static str,
    /// The name that it has: a path from the section on.
    pub(crate) new: &'static str,
    /// The path begins at the top level of the file instead.
    is_at_top_level: bool,
}

const fn renamed(section: &'static str, old: &'static str, new: &'static str) -> RenamedKey {
    RenamedKey { section, old, new, is_at_top_level: false }
}

const fn moved_to_top_level(section: &'static str, old: &'static str, new: &'static str) -> RenamedKey {
    RenamedKey { section, old, new, is_at_top_level: true }
}

impl RenamedKey {
    /// The message about the old key.
    pub(crate) fn message(&self) -> String {
        let place = if self.is_at_top_level { " at the top level of the file" } else { "" };
        format!("this key is now `{}`{place}", self.new)
    }
}

/// Every renamed key. A configuration that has an old one is refused, with its line and the new name.
pub(crate) const RENAMED_KEYS: [RenamedKey; 26] = [
    // The file.
    renamed("services", "unmatched", "connect.unmatched"),
    renamed("services", "tunnel", "connect"),
    // `connect`
    renamed("connect_timeout", "connect", "connect_timeout"),
    renamed("connect_timeout", "idle", "idle_timeout"),
    // `intercept`
    renamed("ca_cert_file", "ca_cert", "ca_cert_file"),
    renamed("ca_cert_file", "ca_key", "ca_key_file"),
    // `log`
    moved_to_top_level("level", "access", "access_log"),
    // `tls` of a listener
    renamed("client_ca_file", "cert", "cert_file"),
    renamed("client_ca_file", "key", "key_file"),
    renamed("client_ca_file", "client_ca", "client_ca_file"),
    // `tls` toward a server
    renamed("insecure_skip_verify", "danger_skip_verify", "insecure_skip_verify"),
    // A service
    renamed("upstream", "replay_on_401", "retry_on_401"),
    renamed("upstream", "optional", "readiness"),
    renamed("upstream", "circuit", "circuit_breaker"),
    renamed("upstream", "proxy_url", "proxy.url"),
    renamed("upstream", "proxy_auth", "proxy"),
    // `circuit_breaker`
    renamed("consecutive_failures", "failures", "consecutive_failures"),
    renamed("consecutive_failures", "open", "open_duration"),
    // `auth` of `type: oauth2`
    renamed("grant_type", "token_request_format", "token_request.format"),
    renamed("grant_type", "endpoint_headers", "token_request.headers"),
    renamed("grant_type", "endpoint_params", "token_request.params"),
    renamed("grant_type", "request_timeout", "token_request.timeout"),
    renamed("grant_type", "min_refresh_interval", "token_request.min_interval"),
    renamed("grant_type", "proxy_url", "proxy.url"),
    renamed("grant_type", "proxy_username", "proxy.username"),
    renamed("grant_type", "proxy_password", "proxy.password"),
];

/// The row of an old key in a section with these known keys.
pub(crate) fn find(known: &[&'static str], key: &str) -> Option<&'static RenamedKey> {
    RENAMED_KEYS.iter().find(|row| row.old == key && known.contains(&row.section))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;

    /// A configuration in which `KEY` stands in the section.
    fn configuration(section: &str) -> String {
        let service = |keys: &str| {
            format!(
                "services:\n  a:\n    upstream: https://a.example\n    auth: {{ type: bearer, token: t }}\n{keys}"
            )
        };
        match section {
            "services" => format!("KEY\n{}", service("")),
            "connect_timeout" => format!("connect: {{ unmatched: tunnel, KEY }}\n{}", service("")),
            "ca_cert_file" => format!("intercept: {{ KEY }}\n{}", service("")),
            "level" => format!("log: {{ KEY }}\n{}", service("")),
            "client_ca_file" => {
                format!("listen: {{ address: 127.0.0.1:8080, tls: {{ KEY }} }}\n{}", service(""))
            }
            "insecure_skip_verify" => service("    tls: { KEY }\n"),
            "upstream" => service("    KEY\n"),
            "consecutive_failures" => service("    circuit_breaker: { KEY }\n"),
            "grant_type" => {
                "services:\n  a:\n    upstream: https://a.example\n    auth: { type: oauth2, KEY }\n".into()
            }
            other => panic!("add a configuration with the section of `{other}`"),
        }
    }

    #[test]
    fn renamed_key_is_rejected_with_line_and_new_name() {
        for row in &RENAMED_KEYS {
            let text = configuration(row.section).replace("KEY", &format!("{}: CANARY", row.old));
            let line = text.lines().position(|line| line.contains("CANARY")).unwrap() + 1;
            let error = Config::parse(&text, "a.yaml", crate::credential::READERS).unwrap_err();
            let of_key: Vec<_> =
                error.diagnostics().iter().filter(|diagnostic| diagnostic.message == row.message()).collect();
            assert_eq!(of_key.len(), 1, "{}: {error}", row.old);
            assert_eq!(of_key[0].line, line, "{error}");
            assert!(of_key[0].path.ends_with(row.old) && of_key[0].message.contains(row.new), "{error}");
            let unknown = format!("`{}` is required", row.new);
            assert!(
                !error.to_string().contains(&unknown) && !error.to_string().contains("CANARY"),
                "{error}"
            );
        }
    }

    #[test]
    fn renamed_key_does_not_lead_to_another_one() {
        for row in &RENAMED_KEYS {
            let first = row.new.split('.').next().unwrap();
            assert!(find(&[row.section], first).is_none(), "{}", row.new);
        }
    }
}
