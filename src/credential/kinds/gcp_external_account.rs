//! `type: gcp_external_account`: a token of Google Cloud for a workload that runs elsewhere, which shows who it is with a token of its
//! own platform (workload identity federation).

use std::time::Duration;

use crate::config::auth::placement::Placement;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{
    CredentialServer, HTTP_URL, Host, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS, UrlPolicy, ValueServer,
    parse_http_url,
};
use crate::credential::google::external_account::ExternalAccount;
use crate::credential::google::{AUDIENCE, AwsWorkload, FederationFile, OptIns, SCOPES, Wanted};
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, Token, google,
    store_or_new,
};
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};

/// The kind `gcp_external_account`.
pub struct GcpExternalAccount;

/// The federation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings(ExternalAccount);

/// A token that the API rejects is replaced no earlier.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

const TOKEN_URL: Key = Key::optional(
    "token_url",
    HTTP_URL,
    "In place of `token_url` in the file, if that is no host of Google's.",
);

impl Kind for GcpExternalAccount {
    const NAME: &'static str = "gcp_external_account";
    const KEYS: Keys = &[
        Key::optional(
            "credential_file",
            Format::Text,
            "The file of the federation, as gcloud writes it. Default: `GOOGLE_APPLICATION_CREDENTIALS`.",
        ),
        SCOPES,
        AUDIENCE,
        TOKEN_URL,
        Key::optional(
            "impersonation_url",
            HTTP_URL,
            "In place of `service_account_impersonation_url` in the file, if that is no host of Google's.",
        ),
        Key::optional(
            "subject_token_host",
            Format::Text,
            "The host of `credential_source.url` in the file, if that is not this machine's metadata service.",
        ),
        Key::optional(
            "aws",
            google::AWS,
            "If `credential_source` in the file is AWS: the identity that is shown, and its region.",
        ),
        SERVER_TLS,
        SERVER_PROXY,
        SERVER_PLAINTEXT,
    ];
    const REJECTED_WITH: &'static [u16] = &[401, 403];
    const IS_OF_PLATFORM: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let wanted = Wanted::read(mapping);
        let server = CredentialServer::read_at(mapping, &TOKEN_URL, google::TOKEN_SERVICE, "the default");
        let opt_ins = opt_ins(mapping, server.as_ref());
        let file = google::credential_file(mapping, "credential_file", |value, path| {
            FederationFile::read(value, path, opt_ins?)
        });
        let server = server?;
        let (file, wanted) = (file?, wanted?);
        if matches!(wanted, Wanted::IdToken(_)) && file.impersonation.is_none() {
            mapping.value().error(
                "`audience` asks for an ID token, which is one of a service account: the file has no \
                 `service_account_impersonation_url`",
            );
            return None;
        }
        Some(Settings(ExternalAccount { file, wanted, tls: server.tls, proxy: server.proxy }))
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn unshareable(settings: &Settings) -> Option<&'static str> {
        settings.0.file.impersonation.is_none().then_some(
            "a federated identity may be another one in each process; a service account that it takes on can be shared",
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
        settings.0.servers()
    }

    fn value_server(settings: &Settings) -> Option<String> {
        Some(settings.0.file.token_url.to_string())
    }

    fn explain_failure(_: &Settings, error: &SourceError) -> Vec<String> {
        let text = match (error.kind, &error.code) {
            (SourceErrorKind::Local, _) => {
                "Check the token file or the command in the message: `credential_source` of the federation's file names it. Keys of AWS \
                 come from where `aws` says."
            }
            (SourceErrorKind::Refused, Some(ErrorCode::InvalidTarget)) => {
                "`audience` in the file names no pool and provider: does the provider exist, and is it enabled?"
            }
            (SourceErrorKind::Refused, Some(ErrorCode::UnauthorizedClient)) => {
                "The attribute condition of the provider does not accept the token of this workload."
            }
            (SourceErrorKind::Refused, Some(ErrorCode::Other(status))) if status == "PERMISSION_DENIED" => {
                "The federated identity may not take on the service account: grant its principal the role Workload Identity User on it. \
                 Is the IAM Service Account Credentials API enabled in the project?"
            }
            (SourceErrorKind::Refused, _) => {
                "Compare the provider of the pool with `iss` and `aud` of the token of this workload, letter by letter, and its keys with \
                 those of the issuer. Is this machine's clock right, and is the token current?"
            }
            _ => return google::explain_connection(error, "Google's token service").into_iter().collect(),
        };
        vec![text.to_owned()]
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        google::explain_rejection(rejection)
    }
}

/// What the configuration allows beyond Google's own servers.
fn opt_ins(mapping: &mut Mapping<'_>, server: Option<&CredentialServer>) -> Option<OptIns> {
    let policy = UrlPolicy { plaintext: server.is_some_and(|server| server.plaintext), query: false };
    let impersonation = mapping.optional("impersonation_url");
    let impersonation = impersonation.map(|value| value.parse(|text| parse_http_url(text, &policy)));
    let host = mapping.optional("subject_token_host").map(|value| value.parse(host));
    let aws = mapping.optional("aws").map(|value| AwsWorkload::read(&value));
    let token_url = server?.url.clone();
    Some(OptIns {
        allows_commands: false,
        aws: match aws {
            None => None,
            Some(workload) => Some(workload?),
        },
        token_url: mapping.has(TOKEN_URL.name).then_some(token_url),
        impersonation_url: match impersonation {
            None => None,
            Some(url) => Some(url?),
        },
        subject_token_host: match host {
            None => None,
            Some(host) => Some(host?),
        },
    })
}

fn host(text: &str) -> Result<String, String> {
    match Host::canonical(text) {
        Some(host) => Ok(host.to_string()),
        None => Err("a host without a scheme and a port: `token.actions.example.com`".into()),
    }
}
