//! What an operator does about a failed token request, in plain words: for the status page and for `sidekey test`.

use crate::config::{Grant, OAuth2};
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};

/// What to look at and what to change, most likely first. It has the keys that the configuration has, and nothing of
/// their values or of the response.
pub fn advice(error: &SourceError, config: &OAuth2) -> Vec<String> {
    let key = config.token_url.key();
    let one = |text: &str| vec![text.to_owned()];
    match error.kind {
        SourceErrorKind::Refused => vec![refused(error.code.as_ref(), config)],
        SourceErrorKind::Connect => vec![
            format!(
                "Check that the host in `{key}` resolves from here, and that a firewall allows connections to its port. A running \
                 Sidekey keeps trying."
            ),
            "If connections have to go through a proxy, set `proxy` under `auth`: variables such as `HTTPS_PROXY` are not used."
                .into(),
        ],
        SourceErrorKind::Tls => vec![
            format!(
                "Check the certificate of the server in `{key}`: its expiry, and its names. If it is from a private CA, set \
                 `tls: {{ ca_file: PATH }}` under `auth`; that of the service is for the upstream."
            ),
        ],
        SourceErrorKind::Timeout => one(
            "The identity provider is slow, or a firewall drops packets: check its status page, and try curl from this machine. \
             A running Sidekey keeps trying.",
        ),
        SourceErrorKind::RateLimited => one(
            "The identity provider limits token requests. Sidekey waits as long as it asks for; look for other programs with the \
             same client id.",
        ),
        SourceErrorKind::ServerError => one(
            "The identity provider has an internal error: check its status page. A running Sidekey keeps trying.",
        ),
        SourceErrorKind::Malformed => vec![format!(
            "The response is not that of a token endpoint: check `{key}`, and whether a proxy or a login page answers instead."
        )],
        SourceErrorKind::Local => one(
            "The cause is on this machine: a file or a secret that the token request needs cannot be read or written.",
        ),
        SourceErrorKind::LoginRequired => one("Run `sidekey login SERVICE` with the same configuration."),
    }
}

/// What to do about an error of RFC 6749 §5.2, or of one of its extensions.
fn refused(code: Option<&ErrorCode>, config: &OAuth2) -> String {
    match code {
        Some(ErrorCode::InvalidClient) => {
            "The client is unknown there, its authentication is wrong, or its secret has expired: compare `client_id`, \
             `auth_method` and the secret or key."
        }
        Some(ErrorCode::InvalidScope) => {
            "A scope in `scopes` is unknown there, or not granted to this client; `scope_separator` may matter."
        }
        Some(ErrorCode::InvalidGrant) => return invalid_grant(&config.grant),
        Some(ErrorCode::UnauthorizedClient) => {
            "The client may not use this `grant_type`: allow it at the identity provider."
        }
        Some(ErrorCode::UnsupportedGrantType) => {
            return format!(
                "The endpoint does not know this `grant_type`: correct it, or check `{}`.",
                config.token_url.key()
            );
        }
        Some(ErrorCode::InvalidTarget) => {
            "The `resource` or `audience` is unknown there: correct it, under `auth` or in `token_request.params`."
        }
        Some(ErrorCode::InvalidRequest) => {
            "A parameter is missing or wrong: many providers require `audience` or `resource` in `token_request.params`, or \
             another `auth_method`."
        }
        Some(ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce) => {
            "The endpoint rejects the DPoP proof: check this machine's clock and `dpop`."
        }
        Some(ErrorCode::AccessDenied) => {
            "The user or a policy of the identity provider denies the access: allow it there."
        }
        _ => "Compare `client_id`, the secret, `auth_method` and `scopes` with what is registered at the identity provider.",
    }
    .into()
}

/// What to do about `invalid_grant`: the client is accepted, and what it presents is not.
fn invalid_grant(grant: &Grant) -> String {
    match grant {
        Grant::ClientCredentials => {
            "The provider accepts the client and rejects the grant: check whether the client may use `client_credentials`, and \
             `token_request.params`."
        }
        Grant::AccountCredentials(_) => {
            "The provider accepts the client and not the account: compare `account_id` with that of the app, and check whether the app \
             is active."
        }
        Grant::Password(_) => {
            "`username` and `password` are wrong, have expired, or the account is locked: correct them where the configuration \
             reads them from."
        }
        Grant::RefreshToken(_) => {
            "The refresh token has expired, was revoked, or was used by another program: put a new one where the configuration \
             reads it from."
        }
        Grant::AuthorizationCode(_) | Grant::DeviceCode(_) => {
            "The login has expired or was revoked: run `sidekey login SERVICE` with the same configuration."
        }
        Grant::JwtBearer(_) => {
            "The assertion is rejected: compare its issuer, subject, audience and key with what is registered, and check this \
             machine's clock."
        }
        Grant::CallerAssertion(_) => {
            "The caller's token is rejected: it is the assertion, so compare its issuer and audience with what the token endpoint accepts."
        }
        Grant::TokenExchange(_) => {
            "The token that is exchanged is rejected: check that `subject_token` is current, and its `subject_token_type`."
        }
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::credential::READERS;

    fn advice_for(keys: &str, kind: SourceErrorKind, code: Option<ErrorCode>) -> String {
        let client = "type: oauth2, client_id: a, client_secret: s";
        let text =
            format!("services: {{ a: {{ upstream: 'https://a.example', auth: {{ {client}, {keys} }} }} }}");
        let config = Config::parse_with(&text, "a.yaml", &|_| None, READERS);
        let auth = config.unwrap_or_else(|error| panic!("{error}")).services.remove(0).auth;
        let error = SourceError { code, ..SourceError::new(kind, "it said no") };
        advice(&error, auth.settings::<OAuth2>().unwrap()).join("\n")
    }

    #[test]
    fn advice_names_the_key_that_the_configuration_has() {
        let grant = "grant_type: client_credentials";
        for kind in [SourceErrorKind::Connect, SourceErrorKind::Tls, SourceErrorKind::Malformed] {
            let of =
                |server: &str| advice_for(&format!("{grant}, {server}: 'https://t.example'"), kind, None);
            assert!(of("token_url").contains("`token_url`") && !of("token_url").contains("issuer"));
            assert!(of("issuer").contains("`issuer`") && !of("issuer").contains("token_url"));
        }
    }

    #[test]
    fn advice_about_invalid_grant_is_about_the_grant() {
        for (grant, expected) in [
            ("client_credentials", "`client_credentials`"),
            ("password, username: a, password: b", "`password`"),
            ("refresh_token, refresh_token: r", "refresh token"),
            ("device_code, device_authorization_url: 'https://t.example/d'", "`sidekey login SERVICE`"),
            ("token_exchange, subject_token: t", "`subject_token`"),
        ] {
            let keys = format!("grant_type: {grant}, token_url: 'https://t.example'");
            let advice = advice_for(&keys, SourceErrorKind::Refused, Some(ErrorCode::InvalidGrant));
            assert!(advice.contains(expected) && !advice.contains("`client_id`"), "{grant}: {advice}");
        }
        let keys = "grant_type: client_credentials, token_url: 'https://t.example'";
        let client = advice_for(keys, SourceErrorKind::Refused, Some(ErrorCode::InvalidClient));
        assert!(client.contains("`client_id`"));
    }
}
