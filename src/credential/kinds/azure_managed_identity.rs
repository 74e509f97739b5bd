//! `type: azure_managed_identity`: a token of Microsoft Entra ID for the identity that Azure gave to the machine or the app itself.

use std::time::Duration;

use url::Url;

use crate::config::ValueServer;
use crate::config::auth::placement::Placement;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::credential::azure::managed_identity::{Assigned, Endpoint, ManagedIdentity};
use crate::credential::azure::{SCOPE, Scope};
use crate::credential::{
    Build, BuildError, EnvironmentOf, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle,
    Token, UpstreamErrors, azure, metadata_url, store_or_new,
};
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The kind `azure_managed_identity`.
pub struct AzureManagedIdentity;

/// The identity and its API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings(ManagedIdentity);

/// A token that the API rejects is replaced no earlier: the services limit requests.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// The path of token requests at the metadata service.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

impl Kind for AzureManagedIdentity {
    const NAME: &'static str = "azure_managed_identity";
    const KEYS: Keys = &[
        SCOPE,
        Key::optional("client_id", Format::Text, "Client ID of a user-assigned identity."),
        Key::optional("object_id", Format::Text, "In place of `client_id`: the object ID of the identity."),
        Key::optional(
            "resource_id",
            Format::Text,
            "In place of `client_id`: the resource ID of the identity.",
        ),
        Key::optional(
            "url",
            Format::Text,
            "URL of the metadata service. Default: `IDENTITY_ENDPOINT`, or that of virtual machines.",
        ),
    ];
    const REJECTED_WITH: &'static [u16] = &[401, 403];
    const IS_OF_PLATFORM: bool = true;
    const UPSTREAM_ERRORS: UpstreamErrors = azure::UPSTREAM_ERRORS;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let scope = Scope::read(mapping);
        let assigned = assigned(mapping);
        let endpoint = endpoint(mapping);
        Some(Settings(ManagedIdentity { scope: scope?, assigned: assigned?, endpoint: endpoint? }))
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn unshareable(settings: &Settings) -> Option<&'static str> {
        matches!(settings.0.assigned, Assigned::System).then_some(
            "the identity of a machine or an app itself is that of this one; one that `client_id`, `object_id` or `resource_id` names can \
             be shared",
        )
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let source = settings.0.source((Self::NAME, MIN_INTERVAL), context)?;
        Ok(Some(Refresh::new(source, store_or_new(reuse, MIN_INTERVAL))))
    }

    /// A token that another endpoint of the machine gave is for the same identity.
    fn keeps_value(old: &Settings, new: &Settings) -> bool {
        old != new && old.0.scope == new.0.scope && old.0.assigned == new.0.assigned
    }

    fn build(_: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &Placement::bearer()))
    }

    fn servers(settings: &Settings) -> Vec<ValueServer> {
        let name = match &settings.0.endpoint {
            Endpoint::Machine(_) => "metadata service",
            Endpoint::App(..) => "identity endpoint",
        };
        vec![ValueServer::direct(name, "url", settings.0.endpoint.url())]
    }

    fn value_server(settings: &Settings) -> Option<String> {
        let mut url = settings.0.endpoint.url().clone();
        url.set_query(None);
        Some(url.to_string())
    }

    fn explain_failure(settings: &Settings, error: &SourceError) -> Vec<String> {
        let is_machine = matches!(settings.0.endpoint, Endpoint::Machine(_));
        let text = match error.kind {
            SourceErrorKind::Refused => {
                "Is an identity assigned to this machine or app, and is `client_id` that of one of them? Of several user-assigned \
                 identities one must be named. Is `scope` an API that the tenant has?"
            }
            SourceErrorKind::Connect | SourceErrorKind::Timeout if is_machine => {
                "Does this run on a virtual machine of Azure? In a pod a network policy may block 169.254.169.254, and \
                 `type: azure_workload_identity` is the better way. App Service and Container Apps set IDENTITY_ENDPOINT once an \
                 identity is assigned."
            }
            _ => return azure::explain_connection(error, "the endpoint").into_iter().collect(),
        };
        vec![text.to_owned()]
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        azure::explain_rejection(rejection)
    }
}

fn assigned(mapping: &mut Mapping<'_>) -> Option<Assigned> {
    let client = mapping.optional("client_id").map(|value| value.parse(azure::id).map(Assigned::ClientId));
    let object = mapping.optional("object_id").map(|value| value.parse(azure::id).map(Assigned::ObjectId));
    let resource =
        mapping.optional("resource_id").map(|value| value.parse(resource_id).map(Assigned::ResourceId));
    match (client, object, resource) {
        (None, None, None) => Some(Assigned::System),
        (Some(one), None, None) | (None, Some(one), None) | (None, None, Some(one)) => one,
        _ => {
            mapping.value().error("one of `client_id`, `object_id` and `resource_id` names the identity");
            None
        }
    }
}

fn resource_id(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '(' | ')');
    if !text.starts_with("/subscriptions/") || !text.chars().all(is_allowed) {
        return Err("the ID of a resource begins with `/subscriptions/`".into());
    }
    Ok(text.to_owned())
}

/// Where the identity is asked for: at the URL of the configuration, at that of the app, or at that of virtual machines.
fn endpoint(mapping: &mut Mapping<'_>) -> Option<Endpoint> {
    const ENDPOINT: &str = "IDENTITY_ENDPOINT";
    const HEADER: &str = "IDENTITY_HEADER";
    if let Some(value) = mapping.optional("url") {
        return value
            .parse(|text| metadata_url::parse(text, metadata_url::is_link_local))
            .map(Endpoint::Machine);
    }
    let value = mapping.value();
    let environment = EnvironmentOf(value);
    let other = [("IDENTITY_SERVER_THUMBPRINT", "Service Fabric"), ("IMDS_ENDPOINT", "Azure Arc")];
    if let Some((variable, platform)) = other.into_iter().find(|(name, _)| environment.get(name).is_some()) {
        value.error(format!(
            "the environment variable {variable} is that of {platform}, whose managed identities are not supported; `url` names \
             another endpoint"
        ));
        return None;
    }
    match (environment.text(ENDPOINT), environment.text(HEADER)) {
        (None, None) => Some(Endpoint::Machine(Url::parse(METADATA).ok()?)),
        (Some(url), Some(header)) => {
            let url = metadata_url::parse(&url, metadata_url::is_link_local)
                .map_err(|error| value.error(format!("{ENDPOINT} in the environment: {error}")));
            let header = Secret::new(header).map_err(|error| error.to_string());
            let header = header.and_then(|header| match header.first_disallowed(|c| c.is_ascii_graphic()) {
                None => Ok(header),
                Some(at) => Err(format!("the character at position {at} is not allowed in a header")),
            });
            let header = header.map_err(|error| value.error(format!("{HEADER} in the environment: {error}")));
            Some(Endpoint::App(url.ok()?, header.ok()?))
        }
        (url, _) => {
            let (set, missing) = if url.is_some() { (ENDPOINT, HEADER) } else { (HEADER, ENDPOINT) };
            value.error(format!(
                "the environment variable {missing} is not set, and {set} is: an app has both"
            ));
            None
        }
    }
}
