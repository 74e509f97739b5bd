//! Tokens of a service account that an identity may take on (the IAM Service Account Credentials API).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::Wanted;
use crate::credential::exchange::{ServerAnswer, ServerClient, ServerRequest, Stated};
use crate::credential::sensitive;
use crate::oauth2::IssuedToken;
use crate::oauth2::client::issued::issued;
use crate::refresh::{ClockReading, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The server in messages.
pub(super) const WHO: &str = "Google's IAM";
/// The limit on one request.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// The method of the API for an access token, at the end of its URL.
const ACCESS_TOKEN: &str = ":generateAccessToken";
/// The method for an ID token.
const ID_TOKEN: &str = ":generateIdToken";

/// A service account.
pub(super) struct Impersonation {
    pub(super) client: ServerClient,
    /// The URL for an access token.
    pub(super) url: Url,
    pub(super) lifetime: Duration,
    pub(super) wanted: Wanted,
}

impl Impersonation {
    /// A token of the service account, for one of the federated identity.
    pub(super) async fn token(&self, federated: &Secret) -> Result<IssuedToken, SourceError> {
        let sent = ClockReading::now();
        let (url, body, member) = self.request();
        let authorization = sensitive(&Zeroizing::new(format!("Bearer {}", federated.expose())));
        let headers = HeaderMap::from_iter([
            (header::AUTHORIZATION, authorization),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]);
        let body = Zeroizing::new(body.to_string());
        let answer =
            self.client.send(ServerRequest { method: Method::POST, url: &url, headers, body }).await?;
        let members = answer.members();
        if !answer.status.is_success() {
            return Err(self.failure(&answer, &members, federated));
        }
        let malformed = |what: &str| SourceError {
            status: Some(answer.status.as_u16()),
            ..SourceError::new(SourceErrorKind::Malformed, format!("{WHO}: {what}"))
        };
        let token = members.get(member).and_then(Value::as_str);
        let token = token.ok_or_else(|| malformed(&format!("its answer has no {member}")))?;
        issued(token, &members, (sent, answer.sent_at)).map_err(|error| malformed(&error))
    }

    /// The URL, the body, and the member of the answer that is the token.
    fn request(&self) -> (Url, Value, &'static str) {
        match &self.wanted {
            Wanted::AccessToken(scopes) => {
                let lifetime = format!("{}s", self.lifetime.as_secs());
                (self.url.clone(), json!({ "scope": scopes, "lifetime": lifetime }), "accessToken")
            }
            Wanted::IdToken(audience) => {
                let mut url = self.url.clone();
                let path = self.url.path();
                url.set_path(&format!("{}{ID_TOKEN}", path.strip_suffix(ACCESS_TOKEN).unwrap_or(path)));
                (url, json!({ "audience": audience, "includeEmail": true }), "token")
            }
        }
    }

    fn failure(
        &self,
        answer: &ServerAnswer,
        members: &Map<String, Value>,
        federated: &Secret,
    ) -> SourceError {
        let text = |name: &str| members.get("error").and_then(|error| error.get(name)?.as_str());
        let secrets = [federated.expose()];
        let stated = Stated { code: text("status"), message: text("message"), secrets: &secrets };
        self.client.refused(answer.failure_kind(), answer, &stated)
    }
}
