//! Where keys come from, as the configuration says.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::keys::AwsKeys;
use super::metadata::ContainerAuthorization;
use crate::config::ValueServer;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// An identity of AWS, and the role that it takes on, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct Identity {
    pub(in crate::credential) origin: Origin,
    /// The role whose keys sign (`assume_role`).
    pub(in crate::credential) role: Option<Role>,
}

/// Where the first keys come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Origin {
    /// The configuration, the environment or a shared file.
    Static(StaticKeys),
    /// A role, for the token of a workload in a file (`AssumeRoleWithWebIdentity`).
    WebIdentity { role: Role, token_file: PathBuf },
    /// The endpoint of a container.
    Container { url: Url, authorization: Option<ContainerAuthorization> },
    /// The metadata service of an instance.
    Instance { url: Url },
}

/// Keys that do not expire, as far as Sidekey knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct StaticKeys {
    pub(in crate::credential) access_key_id: Secret,
    pub(in crate::credential) secret_access_key: Secret,
    pub(in crate::credential) session_token: Option<Secret>,
}

/// A role, and who gives its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct Role {
    pub(in crate::credential) arn: String,
    pub(in crate::credential) session_name: String,
    pub(in crate::credential) external_id: Option<String>,
    /// How long the keys are valid; `None` for the default of STS.
    pub(in crate::credential) duration: Option<Duration>,
    /// The URL of STS.
    pub(in crate::credential) sts: Url,
    /// The region of STS, which calls are signed for.
    pub(in crate::credential) region: String,
}

impl StaticKeys {
    /// The keys as signers use them.
    pub(in crate::credential) fn keys(&self) -> AwsKeys {
        AwsKeys::new(self.access_key_id.clone(), self.secret_access_key.clone(), self.session_token.as_ref())
    }
}

impl Identity {
    /// The keys, if they do not expire.
    pub(in crate::credential) fn static_keys(&self) -> Option<&StaticKeys> {
        match (&self.origin, &self.role) {
            (Origin::Static(keys), None) => Some(keys),
            _ => None,
        }
    }

    /// The role whose keys sign; `None` if they are those of a machine or a container, or do not expire.
    pub(in crate::credential) fn final_role(&self) -> Option<&Role> {
        match (&self.role, &self.origin) {
            (Some(role), _) | (None, Origin::WebIdentity { role, .. }) => Some(role),
            _ => None,
        }
    }

    /// Why a fleet cannot share the keys; `None` if it can.
    pub(in crate::credential) fn unshareable(&self) -> Option<&'static str> {
        match (self.final_role(), &self.origin) {
            (Some(_), _) => None,
            (None, Origin::Static(_)) => Some(
                "a key that does not expire is not requested; the keys of a role (`assume_role`) can be shared",
            ),
            (None, _) => Some(
                "the keys of a machine or a container are those of this one; the keys of a role that they take on (`assume_role`) can be \
                 shared",
            ),
        }
    }

    /// The server that gives the keys that sign, without secrets.
    pub(in crate::credential) fn server(&self) -> Option<String> {
        let url = match (&self.role, &self.origin) {
            (Some(role), _) | (None, Origin::WebIdentity { role, .. }) => &role.sts,
            (None, Origin::Container { url, .. } | Origin::Instance { url }) => url,
            (None, Origin::Static(_)) => return None,
        };
        let mut url = url.clone();
        url.set_query(None);
        Some(url.to_string())
    }

    /// Every server that requests for the keys go to.
    pub(in crate::credential) fn servers(&self) -> Vec<ValueServer> {
        let first = match &self.origin {
            Origin::Static(_) => None,
            Origin::WebIdentity { role, .. } => Some(ValueServer::direct("STS", "sts_url", &role.sts)),
            Origin::Container { url, .. } => {
                Some(ValueServer::direct("container endpoint", "credentials.url", url))
            }
            Origin::Instance { url } => Some(ValueServer::direct("metadata service", "credentials.url", url)),
        };
        let role =
            self.role.as_ref().map(|role| ValueServer::direct("STS", "assume_role.sts_url", &role.sts));
        first.into_iter().chain(role).collect()
    }

    /// Whether keys of `self` may stay in use until there are some of `new`: they are of the same role.
    pub(in crate::credential) fn is_same_role(&self, new: &Self) -> bool {
        match (&self.role, &new.role) {
            (Some(old), Some(new)) => old == new,
            (None, None) => matches!(
                (&self.origin, &new.origin),
                (Origin::WebIdentity { role: old, .. }, Origin::WebIdentity { role: new, .. }) if old == new
            ),
            _ => false,
        }
    }

    /// What to look at if there are no keys, most likely first.
    pub(in crate::credential) fn explain(&self, error: &SourceError) -> Vec<String> {
        let is_role = self.role.is_some() || matches!(self.origin, Origin::WebIdentity { .. });
        let text = match (error.kind, &self.origin) {
            (SourceErrorKind::Refused, Origin::WebIdentity { .. }) if self.role.is_none() => {
                "Does the trust policy of the role name the issuer, the audience and the subject of the token, and is the issuer \
                 known to the account as an identity provider?"
            }
            (SourceErrorKind::Refused, _) if is_role => {
                "Does the trust policy of the role allow this identity, and does `external_id` match it? Is `duration` within the \
                 maximum of the role?"
            }
            (SourceErrorKind::Refused, Origin::Instance { .. }) => {
                "Attach a role to the instance, and allow its metadata service."
            }
            (SourceErrorKind::Refused, _) => {
                "Is a role associated with this container, and is its token the current one?"
            }
            (SourceErrorKind::Connect | SourceErrorKind::Timeout, Origin::Instance { .. })
                if self.role.is_none() =>
            {
                "Does this run on an EC2 instance? In a container, set the hop limit of the instance's metadata options to 2 or more."
            }
            (SourceErrorKind::Connect | SourceErrorKind::Timeout, _) if is_role => {
                "Check that STS can be reached from here; `sts_url` names another endpoint, such as one of the VPC."
            }
            (SourceErrorKind::Connect | SourceErrorKind::Timeout, _) => {
                "Does this run in a container of ECS, or in a pod with EKS Pod Identity?"
            }
            (SourceErrorKind::Local, _) => "Check the file in the message: its path, and who may read it.",
            (SourceErrorKind::Malformed, _) => "Another server than AWS's answers there: check the URL.",
            _ => "AWS has an error, or limits requests. A running Sidekey keeps trying.",
        };
        vec![text.to_owned()]
    }
}
