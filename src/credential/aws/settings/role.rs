//! A role: `assume_role`, and that of a web identity.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::endpoint::{endpoint, not_empty};
use crate::config::reader::duration;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::value::Value;
use crate::credential::EnvironmentOf;
use crate::credential::aws::identity::{Origin, Role};

/// The name of a session if the configuration and the environment have none.
const SESSION_NAME: &str = "sidekey";

pub(super) fn web_identity(
    mapping: &mut Mapping<'_>,
    environment: &EnvironmentOf<'_, '_>,
    region: Option<&str>,
) -> Option<Origin> {
    let hint = ", as EKS sets it for a service account with a role";
    let arn = match mapping.optional("role_arn") {
        Some(value) => value.parse(role_arn),
        None => environment.required("AWS_ROLE_ARN", hint),
    };
    let file = match mapping.optional("token_file") {
        Some(value) => value.parse(not_empty),
        None => environment.required("AWS_WEB_IDENTITY_TOKEN_FILE", hint),
    };
    let name = environment.text("AWS_ROLE_SESSION_NAME");
    let rest = rest_of_role(mapping, name, region);
    let (session_name, duration, (sts, region)) = rest?;
    let role = Role { arn: arn?, session_name, external_id: None, duration, sts, region };
    Some(Origin::WebIdentity { role, token_file: PathBuf::from(file?) })
}

pub(super) fn assume_role(value: &Value<'_>, region: Option<&str>) -> Option<Role> {
    let mut mapping = value.mapping()?;
    let arn = mapping.required("role_arn").and_then(|value| value.parse(role_arn));
    let external_id = mapping.optional("external_id").map(|value| value.parse(not_empty));
    let rest = rest_of_role(&mut mapping, None, region);
    mapping.reject_unknown_keys();
    let (session_name, duration, (sts, region)) = rest?;
    let external_id = match external_id {
        None => None,
        Some(id) => Some(id?),
    };
    Some(Role { arn: arn?, session_name, external_id, duration, sts, region })
}

type RestOfRole = (String, Option<Duration>, (Url, String));

fn rest_of_role(
    mapping: &mut Mapping<'_>,
    session_name: Option<String>,
    region: Option<&str>,
) -> Option<RestOfRole> {
    let name = match mapping.optional("session_name") {
        Some(value) => value.parse(self::session_name),
        None => Some(session_name.unwrap_or_else(|| SESSION_NAME.into())),
    };
    let duration = mapping.optional("duration").map(|value| session_duration(&value));
    let (url, sts_region) = (mapping.optional("sts_url"), mapping.optional("sts_region"));
    let sts = sts(mapping, url, sts_region, region);
    let duration = match duration {
        None => None,
        Some(duration) => Some(duration?),
    };
    Some((name?, duration, sts?))
}

fn session_duration(value: &Value<'_>) -> Option<Duration> {
    let duration = duration::positive(value)?;
    if !(Duration::from_secs(15 * 60)..=Duration::from_secs(12 * 3600)).contains(&duration) {
        value.error("a session lasts from 15m to 12h");
        return None;
    }
    Some(duration)
}

/// The URL of STS, and the region that calls are signed for.
fn sts(
    mapping: &Mapping<'_>,
    url: Option<Value<'_>>,
    region: Option<Value<'_>>,
    of_service: Option<&str>,
) -> Option<(Url, String)> {
    let region = match (region, of_service) {
        (Some(value), _) => value.parse(region_of_sts)?,
        (None, Some(region)) => region.to_owned(),
        (None, None) => {
            mapping.value().error("`sts_region` is required with `region_set`");
            return None;
        }
    };
    let url = if let Some(url) = url {
        url.parse(|text| endpoint(text, &[]))?
    } else {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = Url::parse(&format!("https://sts.{region}.{suffix}/"));
        url.map_err(|_| mapping.value().error("no STS is known for this region: set `sts_url`")).ok()?
    };
    Some((url, region))
}

fn role_arn(text: &str) -> Result<String, String> {
    if !text.starts_with("arn:") || !text.contains(":role/") || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err("the ARN of a role is written `arn:aws:iam::123456789012:role/NAME`".into());
    }
    Ok(text.to_owned())
}

fn session_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    if !(2..=64).contains(&text.len()) || !text.chars().all(is_allowed) {
        return Err("the name of a session has 2 to 64 letters, digits and `_=,.@-`".into());
    }
    Ok(text.to_owned())
}

fn region_of_sts(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("a region is letters, digits and hyphens: `eu-west-1`".into());
    }
    Ok(text.to_owned())
}
