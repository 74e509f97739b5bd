//! The source of the keys of an identity, counted and timed for each service that shares them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::credentials::AwsCredentials;
use super::identity::{Identity, Origin, Role};
use super::metadata::{ContainerSource, InstanceSource};
use super::shared::SharedKeys;
use super::sts::{Base, Proof, RoleSource};
use super::{metadata, sts};
use crate::config::Tls;
use crate::credential::exchange::ServerClient;
use crate::credential::{BuildError, SourceContext};
use crate::metrics::SharedTokenMetrics;
use crate::net::dns::Resolver;
use crate::refresh::{Source, SourceError, SourceErrorKind, SourceServer};
use crate::tls::client::TlsClients;

/// The source of the keys that sign, counted and timed; `None` if they do not expire. Keys that the service rejects are replaced no
/// earlier than `min_interval`.
pub(in crate::credential) fn source(
    identity: &Identity,
    context: &SourceContext<'_>,
    min_interval: Duration,
) -> Result<Option<Arc<dyn Source<AwsCredentials>>>, BuildError> {
    let Some(inner) = keys_source(identity, context.tls, context.resolver)? else { return Ok(None) };
    let counted = Arc::new(Counted { inner, users: context.users.clone() });
    // However a process shows who it is, the keys are those of the role.
    let shared = identity.final_role().and_then(|role| context.fleet_value("aws_role", role, min_interval));
    Ok(Some(match shared {
        None => counted,
        Some(shared) => Arc::new(SharedKeys::new(counted, context.traced(shared))),
    }))
}

/// The source of the keys that sign; `None` if they do not expire.
pub(in crate::credential) fn keys_source(
    identity: &Identity,
    tls: &TlsClients,
    resolver: &Resolver,
) -> Result<Option<Arc<dyn Source<AwsCredentials>>>, BuildError> {
    let context = (tls, resolver);
    let role_source = |role: &Role, proof| -> Result<Arc<dyn Source<AwsCredentials>>, BuildError> {
        let server = server(context, sts::WHO, sts::LIMIT)?;
        Ok(Arc::new(RoleSource::new(server, role.clone(), proof)))
    };
    let origin: Option<Arc<dyn Source<AwsCredentials>>> = match &identity.origin {
        Origin::Static(_) => None,
        Origin::WebIdentity { role, token_file } => {
            Some(role_source(role, Proof::WebIdentity(token_file.clone()))?)
        }
        Origin::Container { url, authorization } => {
            let server = server(context, metadata::AGENT, metadata::LIMIT)?;
            Some(Arc::new(ContainerSource::new(server, url.clone(), authorization.clone())))
        }
        Origin::Instance { url } => {
            let server = server(context, metadata::IMDS, metadata::LIMIT)?;
            Some(Arc::new(InstanceSource::new(server, url.clone())))
        }
    };
    let source = match (&identity.role, &identity.origin, origin) {
        (None, _, origin) => origin,
        (Some(role), Origin::Static(keys), _) => {
            Some(role_source(role, Proof::Keys(Base::Fixed(Box::new(keys.keys()))))?)
        }
        (Some(role), _, Some(origin)) => Some(role_source(role, Proof::Keys(Base::Temporary(origin)))?),
        (Some(_), _, None) => unreachable!("keys that are not static have a source"),
    };
    Ok(source)
}

fn server(
    (tls, resolver): (&TlsClients, &Resolver),
    who: &'static str,
    limit: std::time::Duration,
) -> Result<ServerClient, BuildError> {
    let tls = tls.client(&Tls::default())?;
    Ok(ServerClient::new(tls, resolver.clone(), None, (who, limit))?)
}

/// A source whose requests are counted and timed.
struct Counted {
    inner: Arc<dyn Source<AwsCredentials>>,
    users: SharedTokenMetrics,
}

#[async_trait]
impl Source<AwsCredentials> for Counted {
    async fn fetch(&self) -> Result<AwsCredentials, SourceError> {
        let start = Instant::now();
        let result = self.inner.fetch().await;
        let reason = result.as_ref().err().map_or("", |error| SourceErrorKind::as_str(error.kind));
        self.users.request_finished(reason, start.elapsed());
        result
    }

    fn server(&self) -> Option<Arc<SourceServer>> {
        self.inner.server()
    }
}
