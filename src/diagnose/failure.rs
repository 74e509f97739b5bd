//! What to change if an upstream, or another server, cannot be reached: for a test, for `check --online` and for the status page.

use super::role::Role;
use crate::tls::error_text::error_text;
use crate::upstream::ConnectError;

/// How a request or a connection failed.
pub(crate) enum Failure<'a> {
    /// The name does not resolve.
    Dns,
    /// No address accepts the connection.
    Tcp,
    /// The forward proxy opens no tunnel.
    Proxy,
    /// The TLS handshake failed; the text has the cause.
    Tls(&'a str),
    /// The connection takes too long.
    ConnectTimeout,
    /// The response takes too long.
    Silent,
    /// No response, or one that is not HTTP.
    NotHttp,
    /// No open file is left for a connection.
    Exhausted,
}

const PRIVATE_CA: &str = "If the server's certificate is self-signed or from a private CA, set `tls: { ca_file: PATH }` to it or to the CA's.";

impl<'a> Failure<'a> {
    /// The failure of a connection; `cause` is the text of a failure of TLS.
    pub(crate) fn of_connection(error: &ConnectError, cause: &'a str) -> Self {
        match error {
            ConnectError::Dns { .. } => Self::Dns,
            ConnectError::Tls { .. } => Self::Tls(cause),
            ConnectError::Tcp(_) => Self::Tcp,
            ConnectError::Proxy { .. } => Self::Proxy,
            ConnectError::Exhausted { .. } => Self::Exhausted,
            ConnectError::Timeout { .. }
            | ConnectError::Version { .. }
            | ConnectError::Http2 { .. }
            | ConnectError::Upgrade => Self::ConnectTimeout,
        }
    }

    /// The failure of a request, by its reason (`Sidekey-Error`) and its cause as in the log.
    pub(crate) fn of_request(reason: &str, cause: &'a str) -> Self {
        match reason {
            "upstream_tls" => Self::Tls(cause),
            "upstream_timeout" if cause.contains("timeouts.connect") => Self::ConnectTimeout,
            "upstream_timeout" => Self::Silent,
            "upstream_protocol" => Self::NotHttp,
            _ if cause.starts_with("cannot resolve ") => Self::Dns,
            _ if cause.starts_with("no tunnel to ") => Self::Proxy,
            _ => Self::Tcp,
        }
    }

    /// What to look at and what to change, most likely first.
    pub(crate) fn suggestions(&self, role: Role) -> Vec<String> {
        let key = role.key();
        let one = match self {
            Self::Dns => format!(
                "The host in `{key}` does not resolve on this machine: is it spelled correctly, and does the DNS here have it?"
            ),
            Self::Tcp => format!(
                "No server accepts connections there: is the port in `{key}` right, is the server up, does a firewall reject them?"
            ),
            Self::Proxy => {
                let whose = if role == Role::Upstream { "the service's" } else { "`auth`'s" };
                format!(
                    "The proxy in {whose} `proxy` does not open the connection: does it allow this host and port, and does it require a login?"
                )
            }
            Self::Tls(cause) => return tls_suggestions(cause, role),
            Self::ConnectTimeout => {
                let limit = if role.has_fixed_limit() { "" } else { " `timeouts.connect` is the limit." };
                format!("A firewall that drops packets looks like this, and so does an overloaded server.{limit}")
            }
            Self::Silent => {
                "The upstream accepted the request and did not answer: try another PATH, or raise `timeouts.first_byte`.".to_owned()
            }
            Self::NotHttp => {
                "Is the port in `upstream` that of the API? A TLS port behind `http://` fails like this, and so does a port that speaks HTTP/2 only.".to_owned()
            }
            Self::Exhausted => {
                "This process may open no more files: raise the limit (ulimit -Hn, LimitNOFILE).".to_owned()
            }
        };
        vec![one]
    }
}

/// The cause of a failed connection, as the suggestions read it.
pub(crate) fn cause(error: &ConnectError) -> String {
    match error {
        ConnectError::Tls { source, .. } => error_text(source),
        other => other.to_string(),
    }
}

fn tls_suggestions(cause: &str, role: Role) -> Vec<String> {
    // A bad signature comes from a CA of the same name with another key.
    let suggestions = if ["UnknownIssuer", "CaUsedAsEndEntity", "BadSignature"]
        .iter()
        .any(|it| cause.contains(it))
    {
        PRIVATE_CA
    } else if cause.contains("NotValidForName") || cause.contains("not valid for name") {
        if role.may_have_server_name() {
            "The certificate is for another name: is the host in `upstream` right? `tls: { server_name: NAME }` verifies a different one."
        } else {
            "The certificate is for another name: is the host in `upstream` right? It must be a name of the certificate."
        }
    } else if cause.contains("Expired")
        || cause.contains("expired")
        || cause.contains("NotValidYet")
        || cause.contains("not valid yet")
    {
        "The certificate has expired or is not valid yet: renew it there, and check this machine's clock."
    } else if cause.contains("CertificateRequired")
        || cause.contains("HandshakeFailure")
        || cause.contains("AccessDenied")
    {
        "The server requires a client certificate, or rejects this one: set `tls: { cert_file: PATH, key_file: PATH }`. \
         If the handshake failed, its own key may be of a kind that is not supported, such as P-521."
    } else if cause.contains("ProtocolVersion") || cause.contains("PeerIncompatible") {
        "The server supports no TLS version that Sidekey supports (1.2 and 1.3)."
    } else if cause.contains("InvalidContentType") || cause.contains("corrupt message") {
        "The server does not speak TLS: is the port in `upstream` right, or is it `http://`?"
    } else if role == Role::Upstream {
        "`tls: { ca_file, server_name, cert_file, key_file }` of the service determine how certificates are verified."
    } else {
        "`tls: { ca_file, cert_file, key_file }` determine how certificates are verified."
    };
    let suggestions = suggestions.replace("`upstream`", &format!("`{}`", role.key()));
    let mut suggestions = vec![suggestions];
    match role {
        // The servers of AWS have certificates of public CAs.
        Role::Upstream | Role::StoreKeys(..) => {}
        Role::TokenEndpoint | Role::Issuer | Role::Value(..) => {
            suggestions
                .push("This is about `tls` under `auth`; that of the service is for the upstream.".into());
        }
        Role::SecretStore => suggestions.push("This is about `tls` of the store.".into()),
        Role::SharedStore => suggestions.push("This is about `tls` under `shared`.".into()),
        Role::Collector => suggestions.push("This is about `tls` under `tracing`.".into()),
    }
    suggestions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(reason: &str, cause: &str) -> String {
        Failure::of_request(reason, cause).suggestions(Role::Upstream).join(" ")
    }

    #[test]
    fn failure_of_a_request_has_the_advice_of_a_test() {
        for (reason, cause, expected) in [
            ("upstream_connect", "cannot resolve a.example: no such host", "does not resolve"),
            ("upstream_connect", "cannot connect to a.example: refused", "No server accepts"),
            ("upstream_connect", "no tunnel to a.example:443 through the proxy", "proxy"),
            ("upstream_tls", "TLS failed: certificate expired: it was valid until 2002", "has expired"),
            ("upstream_tls", "TLS failed: UnknownIssuer", "private CA"),
            ("upstream_timeout", "a did not accept within 5 s (timeouts.connect)", "firewall"),
            ("upstream_timeout", "the upstream did not answer in time", "timeouts.first_byte"),
            ("upstream_protocol", "closed", "HTTP/2 only"),
        ] {
            assert!(advice(reason, cause).contains(expected), "{reason} {cause}: {}", advice(reason, cause));
        }
    }

    #[test]
    fn advice_names_server_name_only_where_it_may_be_configured() {
        for cause in ["certificate not valid for name \"a\"", "an error of another kind"] {
            let advice = |role| tls_suggestions(cause, role).join(" ");
            assert!(advice(Role::Upstream).contains("server_name"), "{cause}");
            let others = [
                Role::TokenEndpoint,
                Role::Issuer,
                Role::SecretStore,
                Role::Collector,
                Role::Value("metadata service", "endpoint"),
                Role::StoreKeys("STS", "url"),
            ];
            for role in others {
                assert!(!advice(role).contains("server_name"), "{cause}: {}", advice(role));
            }
        }
    }
}
