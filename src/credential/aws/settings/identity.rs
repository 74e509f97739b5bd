//! The keys of the configuration, or another place, and a role on top.

use super::endpoint::{container, instance};
use super::profile::profile_keys;
use super::role::{assume_role, web_identity};
use super::static_keys::{TEMPORARY, is_of_id, is_of_key};
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::credential::EnvironmentOf;
use crate::credential::aws::identity::{Identity, Origin, StaticKeys};

/// The key of an access key's id.
pub(in crate::credential) const ACCESS_KEY_ID: Key =
    Key::optional("access_key_id", SECRET, "The id of the access key; or `credentials`.");
/// The key of a secret access key.
pub(in crate::credential) const SECRET_ACCESS_KEY: Key =
    Key::optional("secret_access_key", SECRET, "The secret access key; or `credentials`.");
/// The key of a session token.
pub(in crate::credential) const SESSION_TOKEN: Key =
    Key::optional("session_token", SECRET, "The session token of a temporary key.");
/// The key of another place that has the keys.
pub(in crate::credential) const CREDENTIALS: Key = Key::optional(
    "credentials",
    Format::Keys(&[CREDENTIALS_KEYS]),
    "Where the keys come from if they are not written here.",
);
/// The key of a role on top.
pub(in crate::credential) const ASSUME_ROLE: Key = Key::optional(
    "assume_role",
    Format::Keys(&[ROLE_KEYS]),
    "A role that the keys take on, and whose keys sign.",
);

const CREDENTIALS_KEYS: Keys = &[
    Key::required("from", Format::Words(&PLACES), "Where the keys come from."),
    Key::optional(
        "profile",
        Format::Text,
        "With `from: profile`: the profile; `AWS_PROFILE` by default, or `default`.",
    ),
    Key::optional(
        "file",
        Format::Text,
        "With `from: profile`: the file; `AWS_SHARED_CREDENTIALS_FILE` by default, or `~/.aws/credentials`.",
    ),
    Key::optional(
        "role_arn",
        Format::Text,
        "With `from: web_identity`: the role; `AWS_ROLE_ARN` by default.",
    ),
    Key::optional(
        "token_file",
        Format::Text,
        "With `from: web_identity` or `container`: the file with the token, which is read for each request.",
    ),
    Key::optional(
        "session_name",
        Format::Text,
        "With `from: web_identity`: the name of the session, for the log of AWS.",
    ),
    Key::optional("duration", DURATION, "With `from: web_identity`: how long the keys are valid."),
    Key::optional(
        "sts_url",
        Format::Text,
        "With `from: web_identity`: the URL of STS; that of the region by default.",
    ),
    Key::optional(
        "sts_region",
        Format::Text,
        "With `from: web_identity`: the region of STS; `region` by default.",
    ),
    Key::optional("url", Format::Text, "With `from: container` or `instance`: the URL of the endpoint."),
];

const ROLE_KEYS: Keys = &[
    Key::required("role_arn", Format::Text, "The role whose keys sign."),
    Key::optional("external_id", Format::Text, "The external id that the trust policy of the role requires."),
    Key::optional("session_name", Format::Text, "The name of the session, for the log of AWS."),
    Key::optional("duration", DURATION, "How long the keys are valid, from 15m to 12h."),
    Key::optional("sts_url", Format::Text, "The URL of STS; that of the region by default."),
    Key::optional("sts_region", Format::Text, "The region of STS; `region` by default."),
];

const PLACES: [(&str, From); 5] = [
    ("environment", From::Environment),
    ("profile", From::Profile),
    ("web_identity", From::WebIdentity),
    ("container", From::Container),
    ("instance", From::Instance),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Environment,
    Profile,
    WebIdentity,
    Container,
    Instance,
}

/// Reads the identity. `region` is that of the service, if there is one.
pub(in crate::credential) fn identity(mapping: &mut Mapping<'_>, region: Option<&str>) -> Option<Identity> {
    let credentials = mapping.optional("credentials");
    let written = ["access_key_id", "secret_access_key", "session_token"].map(|key| mapping.optional(key));
    let role = mapping.optional("assume_role").map(|value| assume_role(&value, region));
    let origin = match (credentials, written) {
        (Some(credentials), [None, None, None]) => self::credentials(&credentials, region),
        (Some(credentials), _) => {
            credentials.error("both `credentials` and keys are set; which of them should sign?");
            None
        }
        (None, [Some(id), Some(secret), token]) => {
            written_keys(&id, &secret, token.as_ref()).map(Origin::Static)
        }
        (None, [None, None, None]) => {
            mapping
                .value()
                .error("`access_key_id` and `secret_access_key` are required, or `credentials: { from: … }`");
            None
        }
        (None, [id, secret, _]) => {
            let missing = match (id, secret) {
                (None, Some(_)) => "`access_key_id` is",
                (Some(_), None) => "`secret_access_key` is",
                _ => "`access_key_id` and `secret_access_key` are",
            };
            mapping.value().error(format!(
                "{missing} missing: half a key signs nothing, and no other is used in its place"
            ));
            None
        }
    };
    Some(Identity {
        origin: origin?,
        role: match role {
            None => None,
            Some(role) => Some(role?),
        },
    })
}

fn written_keys(id: &Value<'_>, secret: &Value<'_>, token: Option<&Value<'_>>) -> Option<StaticKeys> {
    let access_key_id = secret::read_of(id, is_of_id, "the id of an access key");
    let secret_access_key = secret::read_of(secret, is_of_key, PLACE);
    let session_token = token.map(|value| secret::read_of(value, is_of_key, PLACE));
    let access_key_id = access_key_id?;
    if token.is_none() && access_key_id.starts_with_ignore_case(TEMPORARY) {
        id.error("the id is that of a temporary key, which needs its `session_token`");
        return None;
    }
    Some(StaticKeys {
        access_key_id,
        secret_access_key: secret_access_key?,
        session_token: match session_token {
            None => None,
            Some(token) => Some(token?),
        },
    })
}

const PLACE: &str = "a key of AWS: visible ASCII without spaces";

fn credentials(value: &Value<'_>, region: Option<&str>) -> Option<Origin> {
    let mut mapping = value.mapping()?;
    let from = mapping.required("from").and_then(|value| value.one_of(&PLACES));
    let Some(from) = from else {
        mapping.allow_unread(CREDENTIALS_KEYS);
        return None;
    };
    let allowed: &[&str] = match from {
        From::Environment => &[],
        From::Profile => &["profile", "file"],
        From::WebIdentity => &["role_arn", "token_file", "session_name", "duration", "sts_url", "sts_region"],
        From::Container => &["url", "token_file"],
        From::Instance => &["url"],
    };
    for key in &CREDENTIALS_KEYS[1..] {
        if !allowed.contains(&key.name) {
            mapping.forbid(key, "does not belong to this `from`");
        }
    }
    let environment = EnvironmentOf(value);
    let origin = match from {
        From::Environment => environment.keys().map(Origin::Static),
        From::Profile => profile_keys(&mut mapping, &environment).map(Origin::Static),
        From::WebIdentity => web_identity(&mut mapping, &environment, region),
        From::Container => container(&mut mapping, &environment),
        From::Instance => instance(&mut mapping, &environment),
    };
    mapping.reject_unknown_keys();
    origin
}
