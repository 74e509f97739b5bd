//! Workload identity federation: the token of another platform is exchanged at Google's Security Token Service (RFC 8693), and the
//! result for a token of a service account, if the federation goes through one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::impersonation::{self, Impersonation};
use super::subject::{Subject, SubjectOrigin};
use super::{FederationFile, Wanted};
use crate::config::{Grant, OAuth2, ProxyConfig, Tls, TokenRequest, ValueServer};
use crate::credential::exchange::ServerClient;
use crate::credential::{BuildError, SourceContext, token_endpoint, token_source};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::{AccessToken, RequestKind, TokenResponse, TokenSource};
use crate::refresh::{Source, SourceError};
use crate::secret::Secret;

/// The scope of a token that is good for taking on a service account, and for nothing else.
const IAM: &str = "https://www.googleapis.com/auth/iam";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A federation, and the token that is requested by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct ExternalAccount {
    pub(in crate::credential) file: FederationFile,
    /// An ID token is one of a service account.
    pub(in crate::credential) wanted: Wanted,
    pub(in crate::credential) tls: Tls,
    pub(in crate::credential) proxy: Option<ProxyConfig>,
}

impl ExternalAccount {
    /// Every server that requests for a token go to.
    pub(in crate::credential) fn servers(&self) -> Vec<ValueServer> {
        let google = |name, key, url: &Url| ValueServer {
            tls: self.tls.clone(),
            proxy: self.proxy.clone(),
            ..ValueServer::direct(name, key, url)
        };
        let subject = match &self.file.subject {
            SubjectOrigin::File(..) | SubjectOrigin::Command(_) => Vec::new(),
            SubjectOrigin::Aws(subject) => subject.servers(),
            // The metadata service of a machine is not behind a proxy.
            SubjectOrigin::Url { url, .. } => vec![ValueServer {
                proxy: self.proxy.clone().filter(|_| url.scheme() == "https"),
                ..ValueServer::direct("subject token server", "credential_source.url", url)
            }],
        };
        let impersonation = self.file.impersonation.as_ref();
        let impersonation = impersonation.map(|(url, _)| google("IAM", "impersonation_url", url));
        let token_service = google("token service", "token_url", &self.file.token_url);
        subject.into_iter().chain([token_service]).chain(impersonation).collect()
    }

    /// The settings of the token service. The exchange is written here, not by a grant of the configuration.
    fn token_service(&self) -> OAuth2 {
        OAuth2 {
            tls: self.tls.clone(),
            request: TokenRequest { proxy: self.proxy.clone(), ..TokenRequest::default() },
            ..OAuth2::new(Grant::ClientCredentials, self.file.token_url.clone())
        }
    }

    /// The source of its tokens. `kind` is the kind of the credential. A token that the API rejects is replaced no earlier than
    /// `min_interval`.
    pub(in crate::credential) fn source(
        &self,
        (kind, min_interval): (&'static str, Duration),
        context: &SourceContext<'_>,
    ) -> Result<Arc<dyn Source<AccessToken>>, BuildError> {
        let endpoint = token_endpoint(&self.token_service(), context)?;
        let impersonation = match &self.file.impersonation {
            None => None,
            Some((url, lifetime)) => {
                let (tls, resolver) = (context.tls.client(&self.tls)?, context.resolver.clone());
                let who = (impersonation::WHO, impersonation::LIMIT);
                let client = ServerClient::new(tls, resolver, self.proxy.as_ref(), who)?;
                let (url, lifetime, wanted) = (url.clone(), *lifetime, self.wanted.clone());
                Some(Impersonation { client, url, lifetime, wanted })
            }
        };
        let server = endpoint.server().clone();
        let shared = context.fleet_value(kind, self, min_interval);
        let kind = RequestKind {
            credential: kind,
            grant: Some("token_exchange"),
            method: "POST",
            server: Some(self.file.token_url.clone()),
        };
        let subject = Subject::new(&self.file.subject, &self.file.audience, self.proxy.as_ref(), context)?;
        let tokens = Tokens { account: self.clone(), subject, endpoint, impersonation };
        Ok(token_source(tokens, kind, server, context, shared))
    }
}

/// Requests tokens of a federation.
struct Tokens {
    account: ExternalAccount,
    subject: Subject,
    endpoint: TokenEndpoint,
    impersonation: Option<Impersonation>,
}

#[async_trait]
impl TokenSource for Tokens {
    async fn request_token(&self, _: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let subject = self.subject.token().await?;
        let scope = match (&self.impersonation, &self.account.wanted) {
            (None, Wanted::AccessToken(scopes)) => scopes.join(" "),
            _ => IAM.to_owned(),
        };
        let FederationFile { audience, subject_token_type, .. } = &self.account.file;
        let fields = [
            ("grant_type", GRANT),
            ("audience", audience),
            ("scope", &scope),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token", subject.expose()),
            ("subject_token_type", subject_token_type),
        ];
        let federated = self.endpoint.request(&fields).await?.access?;
        let issued = match &self.impersonation {
            None => federated,
            Some(impersonation) => impersonation.token(&federated.value).await?,
        };
        Ok(TokenResponse { access: Ok(issued), refresh_token: None })
    }
}
