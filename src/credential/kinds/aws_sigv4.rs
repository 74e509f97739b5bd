//! `type: aws_sigv4`: AWS Signature Version 4, in header fields or in the query.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::credential::aws::{AwsKeys, AwsSigner, PayloadRule, SigningScope};
use crate::credential::{Build, Kind, Rejection, Signer};
use crate::secret::Secret;

/// The kind `aws_sigv4`.
pub struct AwsSigV4;

/// The settings of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    scope: SigningScope,
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

const PAYLOADS: [(&str, PayloadRule); 3] =
    [("auto", PayloadRule::Auto), ("signed", PayloadRule::Signed), ("unsigned", PayloadRule::Unsigned)];

/// Whether the signature goes into the query.
const PLACES: [(&str, bool); 2] = [("header", false), ("query", true)];

/// The first characters of the id of a temporary key.
const TEMPORARY: &str = "ASIA";

impl Kind for AwsSigV4 {
    const NAME: &'static str = "aws_sigv4";
    const KEYS: Keys = &[
        Key::required(
            "service",
            Format::Pattern("^[a-z0-9-]+$"),
            "The service as in the scope of its signatures, such as `s3` or `execute-api`.",
        ),
        Key::required("region", Format::Pattern("^[A-Za-z0-9-]+$"), "The region, such as `eu-west-1`."),
        Key::required("access_key_id", SECRET, "The id of the access key."),
        Key::required("secret_access_key", SECRET, "The secret access key."),
        Key::optional("session_token", SECRET, "The session token of a temporary key."),
        Key::optional(
            "payload",
            Format::Words(&PAYLOADS),
            "Which bodies are signed: every one, none, or every one but large ones for S3 by TLS.",
        )
        .or("auto"),
        Key::optional("in", Format::Words(&PLACES), "Where the signature goes.").or("header"),
    ];
    const REJECTED_WITH: &'static [u16] = &[400, 401, 403];
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let service = mapping.required("service").and_then(|value| value.parse(service));
        let region = mapping.required("region").and_then(|value| value.parse(region));
        let payload = mapping.optional("payload");
        let rule = payload.as_ref().map_or(Some(PayloadRule::Auto), |value| value.one_of(&PAYLOADS));
        let is_in_query = mapping.optional("in").map_or(Some(false), |value| value.one_of(&PLACES));
        let id = mapping.required("access_key_id");
        let access_key_id = id.as_ref().and_then(access_key_id);
        let secret_access_key = mapping.required("secret_access_key").and_then(|value| in_header(&value));
        let token = mapping.optional("session_token");
        let session_token = token.as_ref().map(in_header);
        if let (Some(value), Some(key), None) = (&id, &access_key_id, &token)
            && key.starts_with_ignore_case(TEMPORARY)
        {
            value.error("the id is that of a temporary key, which needs its `session_token`");
            return None;
        }
        let (service, is_in_query) = (service?, is_in_query?);
        if let (Some(value), Some(PayloadRule::Signed)) = (&payload, rule)
            && is_in_query
            && service.starts_with("s3")
        {
            value.error("S3 does not sign the body if the signature is in the query");
            return None;
        }
        Some(Settings {
            scope: SigningScope { service, region: region?, payload: rule?, is_in_query },
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token: match session_token {
                None => None,
                Some(token) => Some(token?),
            },
        })
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let keys = AwsKeys::new(
            settings.access_key_id.clone(),
            settings.secret_access_key.clone(),
            settings.session_token.as_ref(),
        );
        Box::new(AwsSigner::new(build.service, settings.scope.clone(), keys))
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scope = "Are `service` and `region` those of the host in `upstream`? The response of most services names what it expected.";
        let key = if settings.session_token.is_some() {
            "Are the three values of the key from the same session, and has it not expired?"
        } else {
            "Is the access key active, and are its id and its secret from the same key?"
        };
        let clock = "If this machine's clock is off by more than five minutes, signatures are rejected; Sidekey then uses the \
                     time of the upstream, and the log says so.";
        let permission = "AWS answers 403 as well if the identity may not do this: compare its policies, and those of the resource.";
        let permission = Some(permission).filter(|_| rejection.status != 401);
        [scope, key, clock].into_iter().chain(permission).map(str::to_owned).collect()
    }
}

fn service(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(is_allowed) {
        return Err(
            "a service is lower-case letters, digits and hyphens, as in the scope of its signatures: \
                    `s3`, `execute-api`"
                .into(),
        );
    }
    Ok(text.to_owned())
}

fn region(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("a region is letters, digits and hyphens: `eu-west-1`".into());
    }
    Ok(text.to_owned())
}

/// The id of an access key, which stands before a slash and a comma in `Authorization`.
fn access_key_id(value: &Value<'_>) -> Option<Secret> {
    let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ',' | '=');
    secret::read_of(value, is_allowed, "the id of an access key")
}

fn in_header(value: &Value<'_>) -> Option<Secret> {
    secret::read_of(value, |c| c.is_ascii_graphic(), "a key of AWS: visible ASCII without spaces")
}
