//! `type: gcp_metadata`: a token of the service account that Google Cloud gave to the machine, the pod or the service itself.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use url::Url;

use crate::config::ValueServer;
use crate::config::auth::placement::Placement;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::credential::google::metadata::MetadataAccount;
use crate::credential::google::{AUDIENCE, SCOPES, Wanted};
use crate::credential::{
    Build, BuildError, EnvironmentOf, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle,
    Token, google, metadata_url, store_or_new,
};
use crate::refresh::{SourceError, SourceErrorKind};

/// The kind `gcp_metadata`.
pub struct GcpMetadata;

/// The service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings(MetadataAccount);

/// A token that the API rejects is replaced no earlier.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// The address of the metadata server. Its name is not looked up: with a false answer, another server would choose the token.
const SERVER: &str = "http://169.254.169.254/";
/// The names of that address.
const NAMES: [&str; 2] = ["metadata.google.internal", "metadata"];
/// The address of the metadata server for machines with IPv6 alone.
const IPV6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);

impl Kind for GcpMetadata {
    const NAME: &'static str = "gcp_metadata";
    const KEYS: Keys = &[
        SCOPES,
        AUDIENCE,
        Key::optional("service_account", Format::Text, "Address of the service account.").or("default"),
        Key::optional(
            "url",
            Format::Text,
            "URL of the metadata server. Default: `GCE_METADATA_HOST`, or Google's.",
        ),
    ];
    const REJECTED_WITH: &'static [u16] = &[401, 403];
    const IS_OF_PLATFORM: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let wanted = Wanted::read(mapping);
        let account = match mapping.optional("service_account") {
            Some(value) => value.parse(account),
            None => Some("default".to_owned()),
        };
        let server = server(mapping);
        Some(Settings(MetadataAccount { wanted: wanted?, account: account?, server: server? }))
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn unshareable(settings: &Settings) -> Option<&'static str> {
        (settings.0.account == "default").then_some(
            "the service account of a machine is that of this one; one that `service_account` names can be shared",
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

    fn build(_: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &Placement::bearer()))
    }

    fn servers(settings: &Settings) -> Vec<ValueServer> {
        vec![ValueServer::direct("metadata server", "url", &settings.0.server)]
    }

    fn value_server(settings: &Settings) -> Option<String> {
        Some(settings.0.server.to_string())
    }

    fn explain_failure(_: &Settings, error: &SourceError) -> Vec<String> {
        let text = match error.kind {
            SourceErrorKind::Refused => {
                "Attach a service account to the machine or the service. On GKE, the pod needs a service account with workload identity, \
                 and its node pool the metadata server of GKE."
            }
            SourceErrorKind::Connect | SourceErrorKind::Timeout => {
                "Does this run on Google Cloud? In a pod of GKE a network policy may block 169.254.169.254, and a new pod gets its first \
                 token after some seconds. Elsewhere use `type: gcp_external_account`."
            }
            _ => return google::explain_connection(error, "the metadata server").into_iter().collect(),
        };
        vec![text.to_owned()]
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        google::explain_rejection(rejection)
    }
}

fn account(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '-' | '_' | '.');
    if text.is_empty() || text.chars().all(|c| c == '.') || !text.chars().all(is_allowed) {
        return Err("the address of a service account: `NAME@PROJECT.iam.gserviceaccount.com`".into());
    }
    Ok(text.to_owned())
}

/// The URL of the server.
fn server(mapping: &mut Mapping<'_>) -> Option<Url> {
    const HOST: &str = "GCE_METADATA_HOST";
    let parse = |text: &str| {
        metadata_url::parse(text, |ip| metadata_url::is_link_local(ip) || ip == IpAddr::V6(IPV6))
    };
    if let Some(value) = mapping.optional("url") {
        return value.parse(parse);
    }
    let value = mapping.value();
    match EnvironmentOf(value).text(HOST) {
        Some(host) if !NAMES.contains(&host.as_str()) => parse(&format!("http://{host}/"))
            .map_err(|error| value.error(format!("{HOST} in the environment: {error}")))
            .ok(),
        _ => Url::parse(SERVER).ok(),
    }
}
