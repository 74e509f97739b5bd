//! `type: azure_workload_identity`: a token of Microsoft Entra ID for a workload, which shows who it is with a token of its own
//! platform (a federated credential). On AKS the webhook of Workload Identity sets the variables.

use std::path::PathBuf;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{
    ASSERTION_TYPE, ClientAuth, CredentialServer, Grant, HTTP_URL, OAuth2, SERVER_PLAINTEXT, SERVER_PROXY,
    SERVER_TLS, TokenRequest,
};
use crate::credential::azure::{SCOPE, Scope};
use crate::credential::token_file::TOKEN_FILE;
use crate::credential::{
    Build, BuildError, EnvironmentOf, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle,
    Token, UpstreamErrors, azure, requested_token, token_file,
};
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};

/// The kind `azure_workload_identity`.
pub struct AzureWorkloadIdentity;

/// The authority of the public cloud.
const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com/";

const AUTHORITY_HOST: Key = Key::optional(
    "authority_host",
    HTTP_URL,
    "URL of Microsoft Entra ID. Default: `AZURE_AUTHORITY_HOST`, or that of the public cloud.",
);

impl Kind for AzureWorkloadIdentity {
    const NAME: &'static str = "azure_workload_identity";
    const KEYS: Keys = &[
        SCOPE,
        Key::optional("tenant_id", Format::Text, "ID of the tenant. Default: `AZURE_TENANT_ID`."),
        Key::optional(
            "client_id",
            Format::Text,
            "ID of the application or the managed identity. Default: `AZURE_CLIENT_ID`.",
        ),
        TOKEN_FILE,
        AUTHORITY_HOST,
        SERVER_TLS,
        SERVER_PROXY,
        SERVER_PLAINTEXT,
    ];
    const REJECTED_WITH: &'static [u16] = &[401, 403];
    const IS_OF_PLATFORM: bool = true;
    const UPSTREAM_ERRORS: UpstreamErrors = azure::UPSTREAM_ERRORS;
    type Settings = OAuth2;

    fn read(mapping: &mut Mapping<'_>) -> Option<OAuth2> {
        let scope = Scope::read(mapping);
        let tenant = id_or_variable(mapping, "tenant_id", "AZURE_TENANT_ID");
        let client_id = id_or_variable(mapping, "client_id", "AZURE_CLIENT_ID");
        let assertion = token_file::read(mapping, |mapping| {
            let value = mapping.value();
            EnvironmentOf(value)
                .required("AZURE_FEDERATED_TOKEN_FILE", &hint("token_file"))
                .map(PathBuf::from)
        });
        let authority = EnvironmentOf(mapping.value()).text("AZURE_AUTHORITY_HOST");
        let authority = CredentialServer::read_at(
            mapping,
            &AUTHORITY_HOST,
            authority.as_deref().unwrap_or(PUBLIC_CLOUD),
            "AZURE_AUTHORITY_HOST in the environment",
        );
        let (authority, tenant) = (authority?, tenant?);
        let mut token_url = authority.url;
        token_url.path_segments_mut().ok()?.pop_if_empty().extend([
            tenant.as_str(),
            "oauth2",
            "v2.0",
            "token",
        ]);
        Some(OAuth2 {
            client_id: client_id?,
            client_auth: ClientAuth::Presented { assertion: assertion?, kind: ASSERTION_TYPE.to_owned() },
            scopes: vec![scope?.as_str().to_owned()],
            request: TokenRequest { proxy: authority.proxy, ..TokenRequest::default() },
            tls: authority.tls,
            ..OAuth2::new(Grant::ClientCredentials, token_url)
        })
    }

    fn owned(_: &OAuth2) -> Owned {
        Owned::authorization()
    }

    /// Whatever the token of its platform is, it is for the identity that `client_id` names.
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

    /// A token that was issued for another assertion is for the same identity.
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
        let text = match (error.kind, &error.code) {
            (SourceErrorKind::Local, _) => {
                "Check the token file in the message. On AKS the webhook of Workload Identity mounts it: the pod has the label \
                 `azure.workload.identity/use: \"true\"`, and its service account the annotation with the client ID."
            }
            (SourceErrorKind::Refused, Some(ErrorCode::InvalidScope)) => {
                "`scope` is unknown in this tenant: it is the application ID URI of the API and `/.default`."
            }
            (SourceErrorKind::Refused, Some(code)) if code.as_str() == "invalid_resource" => {
                "The tenant has no such API (AADSTS500011): `scope` is the application ID URI of the API and `/.default`, such as \
                 `https://cognitiveservices.azure.com/.default` for every resource of Azure OpenAI, and not the host of one."
            }
            (SourceErrorKind::Refused, Some(ErrorCode::UnauthorizedClient)) => {
                "The tenant has no such application: compare `client_id` and `tenant_id` (AADSTS700016)."
            }
            (SourceErrorKind::Refused, Some(ErrorCode::InvalidRequest)) => {
                "Compare `tenant_id` and `client_id`: the tenant may not exist (AADSTS90002), or have no such identity."
            }
            (SourceErrorKind::Refused, _) => {
                "Compare the federated credential of the identity with `iss`, `sub` and `aud` of the token in the file, letter by \
                 letter (AADSTS700211 to 700213); the audience is `api://AzureADTokenExchange`. A new one takes some minutes. Is \
                 this machine's clock right (AADSTS700024)?"
            }
            _ => {
                return azure::explain_connection(error, "Microsoft Entra ID (`authority_host`)")
                    .into_iter()
                    .collect();
            }
        };
        vec![text.to_owned()]
    }

    fn explain_401(_: &OAuth2, rejection: &Rejection<'_>) -> Vec<String> {
        azure::explain_rejection(rejection)
    }
}

/// An ID of the configuration, or of the environment.
fn id_or_variable(mapping: &mut Mapping<'_>, key: &'static str, variable: &str) -> Option<String> {
    if let Some(value) = mapping.optional(key) {
        return value.parse(azure::id);
    }
    let value = mapping.value();
    let text = EnvironmentOf(value).required(variable, &hint(key))?;
    azure::id(&text).map_err(|error| value.error(format!("{variable} in the environment: {error}"))).ok()
}

/// The end of the message about a variable that is not set.
fn hint(key: &str) -> String {
    format!(
        ", and there is no `{key}`: on AKS the webhook of Workload Identity sets it, in pods that have the \
             label `azure.workload.identity/use: \"true\"` when they are created"
    )
}
