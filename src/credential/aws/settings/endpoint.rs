//! The endpoint of a container or an instance.

use std::path::PathBuf;

use url::Url;
use zeroize::Zeroizing;

use super::static_keys::checked;
use crate::config::reader::mapping::Mapping;
use crate::credential::aws::identity::Origin;
use crate::credential::aws::metadata::ContainerAuthorization;
use crate::credential::{EnvironmentOf, metadata_url};

pub(super) fn container(mapping: &mut Mapping<'_>, environment: &EnvironmentOf<'_, '_>) -> Option<Origin> {
    const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    /// Addresses of the agents of ECS and EKS.
    const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    let value = mapping.value().clone();
    let url = if let Some(url) = mapping.optional("url") {
        url.parse(|text| endpoint(text, &AGENTS))
    } else {
        let text = environment
            .text(RELATIVE)
            .map(|path| format!("http://169.254.170.2{path}"))
            .or_else(|| environment.text(FULL));
        match text {
            Some(text) => endpoint(&text, &AGENTS)
                .map_err(|error| value.error(format!("{FULL} or {RELATIVE} in the environment: {error}")))
                .ok(),
            None if !value.reads_files() => Url::parse("http://169.254.170.2/").ok(),
            None => {
                value.error(format!("`url` is required: the environment has neither {FULL} nor {RELATIVE}"));
                None
            }
        }
    };
    let file = match mapping.optional("token_file") {
        Some(file) => Some(file.parse(not_empty)?),
        None => environment.text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    };
    let authorization = match file {
        Some(file) => Some(ContainerAuthorization::File(PathBuf::from(file))),
        None => match environment.text("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            Some(token) => {
                let place = "the environment variable AWS_CONTAINER_AUTHORIZATION_TOKEN";
                let token =
                    checked(&value, &Zeroizing::new(token), |c| c == ' ' || c.is_ascii_graphic(), place)?;
                Some(ContainerAuthorization::Token(token))
            }
            None => None,
        },
    };
    Some(Origin::Container { url: url?, authorization })
}

pub(super) fn instance(mapping: &mut Mapping<'_>, environment: &EnvironmentOf<'_, '_>) -> Option<Origin> {
    /// Addresses of the metadata service.
    const SERVICES: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];
    let value = mapping.value().clone();
    if environment.text("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        value.error("the environment variable AWS_EC2_METADATA_DISABLED switches the metadata service off");
        return None;
    }
    let of_environment = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let url = match (mapping.optional("url"), environment.text(of_environment)) {
        (Some(url), _) => url.parse(|text| endpoint(text, &SERVICES)),
        (None, Some(text)) => endpoint(&text, &SERVICES)
            .map_err(|error| value.error(format!("{of_environment} in the environment: {error}")))
            .ok(),
        (None, None) => Url::parse("http://169.254.169.254/").ok(),
    };
    Some(Origin::Instance { url: url? })
}

/// A URL that keys are requested from: `https://`, or `http://` to this machine or to one of these addresses.
pub(super) fn endpoint(text: &str, addresses: &[&str]) -> Result<Url, String> {
    metadata_url::parse(text, |ip| addresses.contains(&ip.to_string().as_str()))
}

pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('\0') { Err("empty".into()) } else { Ok(text.to_owned()) }
}
