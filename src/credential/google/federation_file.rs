//! The file that describes a workload identity federation, as `gcloud iam workload-identity-pools create-cred-config` writes it.
//!
//! Whoever can change the file could have tokens sent elsewhere, so that nothing in it is believed beyond what it needs to say: the
//! servers in it are Google's, or the configuration names them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use url::Url;

use super::aws_subject::{AwsSubject, AwsWorkload};
use super::hosts;
use super::subject::{Format, SubjectOrigin};
use super::subject_command;
use super::subject_command::{Purpose, SubjectCommand};
use crate::config::reader::report::display_path;
use crate::config::reader::value::Value;
use crate::config::{Content, FileKind};
use crate::credential::{EnvironmentOf, metadata_url};
use crate::oauth2::sanitize;
use crate::secret::{Secret, read_file};

/// The Security Token Service.
pub(in crate::credential) const TOKEN_SERVICE: &str = "https://sts.googleapis.com/v1/token";

/// The largest file, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The largest number of header fields of a request for the token of the other platform.
const MAX_HEADERS: usize = 16;
/// How long a token of a service account is valid if the file does not say.
const LIFETIME: u64 = 3600;

/// What the configuration allows beyond Google's own servers.
#[derive(Default)]
pub(in crate::credential) struct OptIns {
    /// In place of `token_url` of the file.
    pub(in crate::credential) token_url: Option<Url>,
    /// In place of `service_account_impersonation_url` of the file.
    pub(in crate::credential) impersonation_url: Option<Url>,
    /// The host of `credential_source.url`.
    pub(in crate::credential) subject_token_host: Option<String>,
    /// Whose identity of AWS is shown.
    pub(in crate::credential) aws: Option<AwsWorkload>,
    /// Whether `credential_source` may be a command. The environment says so, and never the file.
    pub(in crate::credential) allows_commands: bool,
}

/// The file, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct FederationFile {
    /// The pool and its provider.
    pub(in crate::credential) audience: String,
    pub(in crate::credential) subject_token_type: String,
    pub(in crate::credential) token_url: Url,
    pub(in crate::credential) subject: SubjectOrigin,
    /// Where a token of a service account is requested, and its lifetime.
    pub(in crate::credential) impersonation: Option<(Url, Duration)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: Option<String>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
    #[serde(default)]
    credential_source: Map<String, Json>,
    client_id: Option<Json>,
    workforce_pool_user_project: Option<Json>,
}

#[derive(Deserialize, Default)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

impl FederationFile {
    /// Reads the file at this path, which `value` names or stands for.
    pub(in crate::credential) fn read(value: &Value<'_>, path: &Path, opt_ins: OptIns) -> Option<Self> {
        if !value.reads_files() {
            return Self::placeholder().map_err(|error| value.error(error.to_string())).ok();
        }
        value.watch(path, FileKind::Secret);
        value.warn_if_exposed(path, Content::Secret);
        let bytes = read_file(path, MAX_BYTES)
            .map_err(|error| value.error(format!("cannot read the file{}: {error}", display_path(path))))
            .ok()?;
        let allowed = EnvironmentOf(value).text(subject_command::ALLOWED_BY);
        let file = parse(&bytes, OptIns { allows_commands: allowed.as_deref() == Some("1"), ..opt_ins });
        let file =
            file.map_err(|error| value.error(format!("the file{}: {error}", display_path(path)))).ok()?;
        if let SubjectOrigin::Command(command) = &file.subject {
            for file in command.files() {
                value.warn_if_exposed(&file, Content::Trusted);
            }
        }
        Some(file)
    }
}

impl FederationFile {
    /// What stands for the file where the configuration is checked and its files are not there.
    fn placeholder() -> Result<Self, url::ParseError> {
        Ok(Self {
            audience: "placeholder".into(),
            subject_token_type: "placeholder".into(),
            token_url: Url::parse(TOKEN_SERVICE)?,
            subject: SubjectOrigin::File(PathBuf::from("/placeholder"), Format::Text),
            impersonation: Some((Url::parse(TOKEN_SERVICE)?, Duration::from_secs(LIFETIME))),
        })
    }
}

/// Parses the file. An error has nothing of the file that may be secret.
fn parse(bytes: &[u8], opt_ins: OptIns) -> Result<FederationFile, String> {
    let file: Document = serde_json::from_slice(bytes)
        .map_err(|_| "not a file of workload identity federation: expected a JSON object".to_owned())?;
    match file.kind.as_deref() {
        Some("external_account") => {}
        Some("service_account") => {
            return Err("it is the key of a service account: use `type: gcp_service_account`".into());
        }
        _ => {
            return Err(
                "not a file of workload identity federation: its `type` is not `external_account`".into()
            );
        }
    }
    if file.client_id.is_some() || file.workforce_pool_user_project.is_some() {
        return Err(
            "it is for a workforce pool, that is for people; only workload identity pools are supported"
                .into(),
        );
    }
    let missing = |key: &str| format!("it has no `{key}`");
    let text = |text: Option<String>, key: &str| {
        text.filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()))
            .ok_or_else(|| missing(key))
    };
    let token_url = match (opt_ins.token_url, file.token_url) {
        (Some(url), _) => url,
        (None, Some(url)) => {
            hosts::of_google(&url, "sts").map_err(|why| foreign("token_url", "token_url", &why))?
        }
        (None, None) => return Err(missing("token_url")),
    };
    let impersonation_url = match (opt_ins.impersonation_url, file.service_account_impersonation_url) {
        (Some(url), _) => Some(url),
        (None, Some(url)) => Some(
            hosts::of_google(&url, "iamcredentials")
                .map_err(|why| foreign("service_account_impersonation_url", "impersonation_url", &why))?,
        ),
        (None, None) => None,
    };
    if impersonation_url.as_ref().is_some_and(|url| !url.path().ends_with(":generateAccessToken")) {
        return Err("`service_account_impersonation_url` does not end in `:generateAccessToken`".into());
    }
    let lifetime = file.service_account_impersonation.token_lifetime_seconds.unwrap_or(LIFETIME);
    if !(600..=43_200).contains(&lifetime) {
        return Err("`token_lifetime_seconds` is from 600 to 43200".into());
    }
    let audience = text(file.audience, "audience")?;
    let subject_token_type = text(file.subject_token_type, "subject_token_type")?;
    let purpose = Purpose {
        audience: &audience,
        token_type: &subject_token_type,
        impersonation: impersonation_url.as_ref(),
    };
    let subject = match file.credential_source.get("executable") {
        Some(executable) => SubjectOrigin::Command(command(executable, &purpose, opt_ins.allows_commands)?),
        None => subject(&file.credential_source, opt_ins.subject_token_host.as_deref(), opt_ins.aws)?,
    };
    Ok(FederationFile {
        audience,
        subject_token_type,
        token_url,
        subject,
        impersonation: impersonation_url.map(|url| (url, Duration::from_secs(lifetime))),
    })
}

fn foreign(member: &str, key: &str, why: &str) -> String {
    format!("`{member}` {why}; if it is meant, write `{key}` in the configuration")
}

/// A command that prints the token of the other platform, if commands may be run.
fn command(executable: &Json, purpose: &Purpose<'_>, is_allowed: bool) -> Result<SubjectCommand, String> {
    if !is_allowed {
        return Err(format!(
            "its `credential_source` is a command, which is not run because a file says so: set {}=1 in the environment, or use \
             `type: oauth2` with `grant_type: token_exchange` and `subject_token: {{ exec: […] }}`",
            subject_command::ALLOWED_BY
        ));
    }
    SubjectCommand::new(executable, purpose)
}

/// Where the token of the other platform comes from.
fn subject(
    source: &Map<String, Json>,
    allowed_host: Option<&str>,
    workload: Option<AwsWorkload>,
) -> Result<SubjectOrigin, String> {
    if source.contains_key("environment_id") {
        return aws_subject(source, workload);
    }
    if workload.is_some() {
        return Err(
            "its `credential_source` is not AWS, so that `aws` in the configuration has no effect".into()
        );
    }
    if source.contains_key("certificate") {
        return Err("its `credential_source` is a certificate, which is not supported".into());
    }
    let format = format(source)?;
    match (source.get("file"), source.get("url")) {
        (Some(Json::String(path)), None) if !path.is_empty() && !path.contains('\0') => {
            Ok(SubjectOrigin::File(PathBuf::from(path), format))
        }
        (None, Some(Json::String(text))) => {
            let url = subject_url(text, allowed_host)?;
            Ok(SubjectOrigin::Url { url, headers: headers(source.get("headers"))?, format })
        }
        _ => Err("its `credential_source` has neither one `file` nor one `url`".into()),
    }
}

/// A request to AWS. Which keys sign it, and for which region, the configuration says and not the file.
fn aws_subject(source: &Map<String, Json>, workload: Option<AwsWorkload>) -> Result<SubjectOrigin, String> {
    let member = |name: &str| source.get(name).and_then(Json::as_str).unwrap_or_default();
    if member("environment_id") != "aws1" {
        return Err("its `credential_source.environment_id` is not `aws1`".into());
    }
    let workload = workload.ok_or(
        "its `credential_source` is AWS: write `aws` in the configuration, which says whose identity is shown, such as \
         `aws: { region: eu-west-1, credentials: { from: instance } }`",
    )?;
    let subject = AwsSubject::new(workload, member("regional_cred_verification_url"))?;
    Ok(SubjectOrigin::Aws(Box::new(subject)))
}

fn subject_url(text: &str, allowed_host: Option<&str>) -> Result<Url, String> {
    let url = metadata_url::parse(text, metadata_url::is_link_local)
        .map_err(|why| format!("`credential_source.url`: {why}"))?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "https" && allowed_host != Some(host) {
        return Err(format!(
            "`credential_source.url` is a request to {}; if it is meant, write `subject_token_host` in the configuration",
            sanitize(host)
        ));
    }
    Ok(url)
}

fn format(source: &Map<String, Json>) -> Result<Format, String> {
    let member = |name: &str| source.get("format").and_then(|format| format.get(name));
    let Some(kind) = member("type") else { return Ok(Format::Text) };
    match (kind.as_str(), member("subject_token_field_name").and_then(Json::as_str)) {
        (Some("text"), _) => Ok(Format::Text),
        (Some("json"), Some(name)) if !name.is_empty() => Ok(Format::Json(name.to_owned())),
        (Some("json"), _) => Err("`credential_source.format` has no `subject_token_field_name`".into()),
        _ => Err("`credential_source.format.type` is neither `text` nor `json`".into()),
    }
}

/// The header fields of a request for the token of the other platform. Their values may be secret.
fn headers(fields: Option<&Json>) -> Result<Vec<(HeaderName, Secret)>, String> {
    const RESERVED: [HeaderName; 6] = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::TE,
        header::UPGRADE,
    ];
    let fields = match fields {
        None => return Ok(Vec::new()),
        Some(Json::Object(fields)) if fields.len() <= MAX_HEADERS => fields,
        Some(_) => {
            return Err(format!(
                "`credential_source.headers` is an object of at most {MAX_HEADERS} header fields"
            ));
        }
    };
    let field = |(name, value): (&String, &Json)| {
        let name = HeaderName::try_from(name).ok().filter(|name| !RESERVED.contains(name))?;
        let value = value.as_str().filter(|value| HeaderValue::from_str(value).is_ok())?;
        Some((name, Secret::new(value.to_owned()).ok()?))
    };
    let fields: Option<Vec<_>> = fields.iter().map(field).collect();
    fields.ok_or_else(|| "`credential_source.headers` has a field that cannot be sent".into())
}
