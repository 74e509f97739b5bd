//! Tokens of the metadata server: of a virtual machine, of GKE (with workload identity that of the pod's service account), of Cloud
//! Run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::Wanted;
use crate::config::Tls;
use crate::credential::exchange::{ServerAnswer, ServerClient, ServerRequest, Stated};
use crate::credential::{BuildError, SourceContext, token_source};
use crate::oauth2::client::issued::issued;
use crate::oauth2::{AccessToken, IssuedToken, RequestKind, TokenResponse, TokenSource};
use crate::refresh::{ClockReading, Source, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The server in messages.
const WHO: &str = "the metadata server";
/// The limit on one request. The server of GKE may need some seconds in a new pod.
const LIMIT: Duration = Duration::from_secs(10);

/// The field that a request has, so that no page and no redirect leads there; and an answer, so that no other server is taken for it.
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const GOOGLE: HeaderValue = HeaderValue::from_static("Google");

/// A service account, and the token that is requested for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct MetadataAccount {
    pub(in crate::credential) wanted: Wanted,
    /// Its address, or `default`.
    pub(in crate::credential) account: String,
    /// The URL of the server.
    pub(in crate::credential) server: Url,
}

impl MetadataAccount {
    /// The URL of a token request.
    fn request_url(&self) -> Url {
        let mut url = self.server.clone();
        let kind = if matches!(self.wanted, Wanted::AccessToken(_)) { "token" } else { "identity" };
        if let Ok(mut path) = url.path_segments_mut() {
            let steps = ["computeMetadata", "v1", "instance", "service-accounts", &self.account, kind];
            path.pop_if_empty().extend(steps);
        }
        let mut query = url.query_pairs_mut();
        match &self.wanted {
            Wanted::AccessToken(scopes) => drop(query.append_pair("scopes", &scopes.join(","))),
            Wanted::IdToken(audience) => {
                query.append_pair("audience", audience).append_pair("format", "full");
            }
        }
        drop(query);
        url
    }

    /// The source of its tokens. `kind` is the kind of the credential. A token that the API rejects is replaced no earlier than
    /// `min_interval`.
    pub(in crate::credential) fn source(
        &self,
        (kind, min_interval): (&'static str, Duration),
        context: &SourceContext<'_>,
    ) -> Result<Arc<dyn Source<AccessToken>>, BuildError> {
        let tls = context.tls.client(&Tls::default())?;
        let client = ServerClient::new(tls, context.resolver.clone(), None, (WHO, LIMIT))?;
        let facts = client.facts();
        let shared = context.fleet_value(kind, &(&self.wanted, &self.account), min_interval);
        let kind =
            RequestKind { credential: kind, grant: None, method: "GET", server: Some(self.server.clone()) };
        Ok(token_source(Tokens { account: self.clone(), client }, kind, facts, context, shared))
    }
}

/// Requests tokens of the metadata server.
struct Tokens {
    account: MetadataAccount,
    client: ServerClient,
}

#[async_trait]
impl TokenSource for Tokens {
    async fn request_token(&self, _: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let sent = ClockReading::now();
        let headers = HeaderMap::from_iter([(FLAVOR, GOOGLE)]);
        let answer = self.client.send(ServerRequest::get(&self.account.request_url(), headers)).await?;
        if answer.headers.get(FLAVOR) != Some(&GOOGLE) {
            return Err(malformed(&answer, "another server answers: there is no `Metadata-Flavor: Google`"));
        }
        if !answer.status.is_success() {
            return Err(self.failure(&answer));
        }
        let issued = self.token(&answer, sent).map_err(|error| malformed(&answer, &error))?;
        Ok(TokenResponse { access: Ok(issued), refresh_token: None })
    }
}

impl Tokens {
    fn token(&self, answer: &ServerAnswer, sent: ClockReading) -> Result<IssuedToken, String> {
        let asked = (sent, answer.sent_at);
        match self.account.wanted {
            Wanted::AccessToken(_) => {
                let members = answer.members();
                let token = members.get("access_token").and_then(Value::as_str);
                issued(token.ok_or("its answer has no access_token")?, &members, asked)
            }
            // The body is the token.
            Wanted::IdToken(_) => issued(answer.body.trim(), &Map::new(), asked),
        }
    }

    fn failure(&self, answer: &ServerAnswer) -> SourceError {
        let members = answer.members();
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let is_missing = answer.status.as_u16() == 404;
        let message = text("error_description").or(is_missing.then_some("it has no such service account"));
        let stated = Stated { code: text("error"), message, secrets: &[] };
        self.client.refused(answer.failure_kind(), answer, &stated)
    }
}

fn malformed(answer: &ServerAnswer, what: &str) -> SourceError {
    SourceError {
        status: Some(answer.status.as_u16()),
        ..SourceError::new(SourceErrorKind::Malformed, format!("{WHO}: {what}"))
    }
}
