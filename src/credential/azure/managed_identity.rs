//! Tokens of the managed identity of a virtual machine, or of an app in App Service, Functions or Container Apps.
//!
//! | where | who is asked | what proves the right to ask |
//! |---|---|---|
//! | a virtual machine, AKS | the instance metadata service (IMDS) | the field `Metadata`, which no page and no redirect can set |
//! | App Service, Container Apps | `IDENTITY_ENDPOINT` | `IDENTITY_HEADER`, a secret of the environment |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::Scope;
use crate::config::Tls;
use crate::credential::exchange::{ServerAnswer, ServerClient, ServerRequest, Stated};
use crate::credential::{BuildError, SourceContext, sensitive, token_source};
use crate::oauth2::client::issued::issued;
use crate::oauth2::{AccessToken, RequestKind, TokenResponse, TokenSource};
use crate::refresh::{ClockReading, Source, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The limit on one request: the service itself asks Microsoft Entra ID.
const LIMIT: Duration = Duration::from_secs(10);
/// How long to wait while the metadata service is replaced, which takes 70 seconds at most.
const UPDATE: Duration = Duration::from_secs(10);

/// Where a managed identity is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Endpoint {
    /// The metadata service of a virtual machine.
    Machine(Url),
    /// The endpoint of an app, and the secret that it requires.
    App(Url, Secret),
}

impl Endpoint {
    /// Its URL.
    pub(in crate::credential) fn url(&self) -> &Url {
        match self {
            Self::Machine(url) | Self::App(url, _) => url,
        }
    }

    fn who(&self) -> &'static str {
        match self {
            Self::Machine(_) => "the metadata service of the machine",
            Self::App(..) => "the identity endpoint of the app",
        }
    }
}

/// Which of several identities it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Assigned {
    /// The one that belongs to the machine or the app itself.
    System,
    /// A user-assigned one, by its client ID.
    ClientId(String),
    /// A user-assigned one, by the ID of its object in the directory.
    ObjectId(String),
    /// A user-assigned one, by the ID of its resource.
    ResourceId(String),
}

/// A managed identity, and the API that its tokens are for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct ManagedIdentity {
    pub(in crate::credential) scope: Scope,
    pub(in crate::credential) assigned: Assigned,
    pub(in crate::credential) endpoint: Endpoint,
}

impl ManagedIdentity {
    /// The URL of a token request.
    fn request_url(&self) -> Url {
        let mut url = self.endpoint.url().clone();
        let (version, resource_id) = match self.endpoint {
            Endpoint::Machine(_) => ("2018-02-01", "msi_res_id"),
            Endpoint::App(..) => ("2019-08-01", "mi_res_id"),
        };
        let mut query = url.query_pairs_mut();
        query.append_pair("api-version", version).append_pair("resource", self.scope.resource());
        match &self.assigned {
            Assigned::System => {}
            Assigned::ClientId(id) => drop(query.append_pair("client_id", id)),
            Assigned::ObjectId(id) => drop(query.append_pair("object_id", id)),
            Assigned::ResourceId(id) => drop(query.append_pair(resource_id, id)),
        }
        drop(query);
        url
    }

    fn headers(&self) -> HeaderMap<HeaderValue> {
        const METADATA: HeaderName = HeaderName::from_static("metadata");
        const IDENTITY: HeaderName = HeaderName::from_static("x-identity-header");
        HeaderMap::from_iter([match &self.endpoint {
            Endpoint::Machine(_) => (METADATA, HeaderValue::from_static("true")),
            Endpoint::App(_, secret) => (IDENTITY, sensitive(secret.expose())),
        }])
    }

    /// The source of its tokens. `kind` is the kind of the credential. A token that the API rejects is replaced no earlier than
    /// `min_interval`.
    pub(in crate::credential) fn source(
        &self,
        (kind, min_interval): (&'static str, Duration),
        context: &SourceContext<'_>,
    ) -> Result<Arc<dyn Source<AccessToken>>, BuildError> {
        let tls = context.tls.client(&Tls::default())?;
        let client = ServerClient::new(tls, context.resolver.clone(), None, (self.endpoint.who(), LIMIT))?;
        let (facts, url) = (client.facts(), self.endpoint.url().clone());
        // Another machine has another endpoint, and the same identity.
        let shared = context.fleet_value(kind, &(&self.scope, &self.assigned), min_interval);
        let kind = RequestKind { credential: kind, grant: None, method: "GET", server: Some(url) };
        Ok(token_source(Tokens { identity: self.clone(), client }, kind, facts, context, shared))
    }
}

/// Requests tokens of a managed identity.
struct Tokens {
    identity: ManagedIdentity,
    client: ServerClient,
}

#[async_trait]
impl TokenSource for Tokens {
    async fn request_token(&self, _: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let sent = ClockReading::now();
        let url = self.identity.request_url();
        let answer = self.client.send(ServerRequest::get(&url, self.identity.headers())).await?;
        let members = answer.members();
        if !answer.status.is_success() {
            return Err(self.failure(&answer, &members));
        }
        let malformed = |what: &str| SourceError {
            status: Some(answer.status.as_u16()),
            ..SourceError::new(
                SourceErrorKind::Malformed,
                format!("{}: {what}", self.identity.endpoint.who()),
            )
        };
        let token = members.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| malformed("its answer has no access_token"))?;
        let issued = issued(token, &members, (sent, answer.sent_at)).map_err(|error| malformed(&error))?;
        Ok(TokenResponse { access: Ok(issued), refresh_token: None })
    }
}

impl Tokens {
    /// The error of an answer without a token. The metadata service answers 404 and 410 while it is replaced.
    fn failure(&self, answer: &ServerAnswer, members: &Map<String, Value>) -> SourceError {
        let is_updated = matches!(answer.status.as_u16(), 404 | 410);
        let kind = if is_updated { SourceErrorKind::ServerError } else { answer.failure_kind() };
        let text = |names: &[&str]| names.iter().find_map(|name| members.get(*name)?.as_str());
        let secret = match &self.identity.endpoint {
            Endpoint::Machine(_) => None,
            Endpoint::App(_, secret) => Some(secret.expose()),
        };
        let stated = Stated {
            code: text(&["error"]),
            message: text(&["error_description", "message"]),
            secrets: secret.as_slice(),
        };
        let mut error = self.client.refused(kind, answer, &stated);
        if is_updated {
            error.retry_after = error.retry_after.or(Some(UPDATE));
        }
        error
    }
}
