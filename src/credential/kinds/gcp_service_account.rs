//! `type: gcp_service_account`: a token of Google Cloud for the key of a service account.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{
    CredentialServer, Grant, HTTP_URL, JwtBearer, OAuth2, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS,
    ServiceAccountKey, TokenField, TokenRequest,
};
use crate::credential::google::{AUDIENCE, SCOPES, Wanted};
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, Token, google,
    requested_token,
};
use crate::refresh::{SourceError, SourceErrorKind};

/// The kind `gcp_service_account`.
pub struct GcpServiceAccount;

/// The token endpoint. That of the file is not used: whoever can change the file could have assertions sent elsewhere.
const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";

const TOKEN_URL: Key = Key::optional(
    "token_url",
    HTTP_URL,
    "Token endpoint, if it is not Google's public one; it is `aud` of the assertion as well.",
);

/// From `iat` to `exp` of an assertion, which is used once.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(180);

impl Kind for GcpServiceAccount {
    const NAME: &'static str = "gcp_service_account";
    const KEYS: Keys = &[
        Key::optional(
            "key_file",
            Format::Text,
            "The key file of the service account, as Google writes it. Default: `GOOGLE_APPLICATION_CREDENTIALS`.",
        ),
        SCOPES,
        AUDIENCE,
        Key::optional(
            "subject",
            Format::Text,
            "A user of Google Workspace to act for (domain-wide delegation).",
        ),
        TOKEN_URL,
        SERVER_TLS,
        SERVER_PROXY,
        SERVER_PLAINTEXT,
    ];
    const REJECTED_WITH: &'static [u16] = &[401, 403];
    const IS_OF_PLATFORM: bool = true;
    type Settings = OAuth2;

    fn read(mapping: &mut Mapping<'_>) -> Option<OAuth2> {
        let wanted = Wanted::read(mapping);
        let subject = mapping.optional("subject").map(|value| value.parse(subject));
        let server = CredentialServer::read_at(mapping, &TOKEN_URL, TOKEN_ENDPOINT, "the default");
        let key = google::credential_file(mapping, "key_file", ServiceAccountKey::read);
        let (key, server) = (key?, server?);
        let mut claims = Map::new();
        claims.insert("iss".into(), key.email.into());
        let token_field = match wanted? {
            Wanted::AccessToken(scopes) => {
                claims.insert("scope".into(), scopes.join(" ").into());
                None
            }
            Wanted::IdToken(audience) => {
                claims.insert("target_audience".into(), audience.into());
                TokenField::parse("id_token").ok()
            }
        };
        if let Some(subject) = subject {
            claims.insert("sub".into(), Value::String(subject?));
        }
        let (key, key_id) = (key.key, key.key_id);
        let grant = JwtBearer { key, key_id, headers: Map::new(), claims, lifetime: ASSERTION_LIFETIME };
        Some(OAuth2 {
            token_field,
            request: TokenRequest { proxy: server.proxy, ..TokenRequest::default() },
            tls: server.tls,
            ..OAuth2::new(Grant::JwtBearer(Box::new(grant)), server.url)
        })
    }

    fn owned(_: &OAuth2) -> Owned {
        Owned::authorization()
    }

    fn unshareable(_: &OAuth2) -> Option<&'static str> {
        None
    }

    fn refresh(
        settings: &OAuth2,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        requested_token(Self::NAME, settings, context, reuse).map(Some)
    }

    /// A token that was issued for another key is for the same service account.
    fn keeps_value(old: &OAuth2, new: &OAuth2) -> bool {
        old.differs_in_secret_only(new)
    }

    fn build(settings: &OAuth2, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &settings.token))
    }

    fn value_server(settings: &OAuth2) -> Option<String> {
        Some(settings.token_url.redacted_url())
    }

    fn explain_failure(_: &OAuth2, error: &SourceError) -> Vec<String> {
        let text = match error.kind {
            SourceErrorKind::Refused => {
                "Is the key still active in IAM, and the service account enabled? If this machine's clock is wrong, the assertion counts as \
                 expired. With `subject`, the account needs domain-wide delegation for these `scopes`."
            }
            _ => return google::explain_connection(error, "Google's token endpoint").into_iter().collect(),
        };
        vec![text.to_owned()]
    }

    fn explain_401(_: &OAuth2, rejection: &Rejection<'_>) -> Vec<String> {
        google::explain_rejection(rejection)
    }
}

fn subject(text: &str) -> Result<String, String> {
    if !text.contains('@') || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("the address of a user: `NAME@DOMAIN`".into());
    }
    Ok(text.to_owned())
}
