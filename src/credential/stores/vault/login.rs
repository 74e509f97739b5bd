//! How Sidekey logs in: the method, and what a login sends.

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::paths;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::{SECRET, VALUE};
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::secret::{Secret, SecretText, Source, SourceError, read_file};

/// The token of the service account of a Pod.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Largest token of a service account, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// How Sidekey logs in. What it logs in with is read again for each login.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Login {
    /// A token of the store, which needs no login.
    Token(Source),
    /// `AppRole`.
    AppRole { mount: String, role_id: Source, secret_id: Option<Source> },
    /// A JWT: of a service account (`kubernetes`), or of any other issuer (`jwt`).
    Jwt { method: &'static str, mount: String, role: String, jwt: Jwt },
    /// The client certificate of the connection.
    Certificate { mount: String, role: Option<String> },
}

/// A JWT to log in with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Jwt {
    Source(Source),
    /// That of the service account of the Pod.
    ServiceAccount,
}

/// The format of `login`.
pub(super) const LOGIN: Format = Format::Keys(&[KEYS]);

const KEYS: Keys = &[
    Key::required("method", Format::Words(&METHODS), "The method."),
    Key::depends("token", SECRET, "With `token`: the token."),
    Key::depends("role_id", VALUE, "With `approle`: ID of the role."),
    Key::optional("secret_id", SECRET, "With `approle`: ID of the secret, if the role demands one."),
    Key::depends("role", Format::Text, "With `kubernetes`, `jwt` and `certificate`: name of the role."),
    Key::depends("jwt", SECRET, "With `jwt`, and optional with `kubernetes`: the JWT."),
    Key::optional(
        "mount",
        Format::Text,
        "Path at which the method is enabled. Default: the name that it has in the store.",
    ),
];

const METHODS: [(&str, Method); 5] = [
    ("token", Method::Token),
    ("approle", Method::AppRole),
    ("kubernetes", Method::Kubernetes),
    ("jwt", Method::Jwt),
    ("certificate", Method::Certificate),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Token,
    AppRole,
    Kubernetes,
    Jwt,
    Certificate,
}

impl Method {
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Token => &["token"],
            Self::AppRole => &["role_id", "secret_id", "mount"],
            Self::Kubernetes | Self::Jwt => &["role", "jwt", "mount"],
            Self::Certificate => &["role", "mount"],
        }
    }
}

/// Reads `login`.
pub(super) fn read(value: &Value<'_>) -> Option<Login> {
    let mut mapping = value.mapping()?;
    let Some(method) = mapping.required("method").and_then(|value| value.one_of(&METHODS)) else {
        mapping.allow_unread(KEYS);
        return None;
    };
    let login = read_method(&mut mapping, method);
    for key in KEYS.iter().filter(|key| key.name != "method" && !method.keys().contains(&key.name)) {
        mapping.forbid(key, "does not belong to this `method`");
    }
    mapping.reject_unknown_keys();
    login
}

fn read_method(mapping: &mut Mapping<'_>, method: Method) -> Option<Login> {
    let mount = |mapping: &mut Mapping<'_>, default: &str| match mapping.optional("mount") {
        Some(value) => value.parse(path_of_mount),
        None => Some(default.to_owned()),
    };
    match method {
        Method::Token => {
            Some(Login::Token(needed(mapping, "token").and_then(|value| secret::source(&value))?))
        }
        Method::AppRole => {
            let role_id = needed(mapping, "role_id").and_then(|value| secret::any_source(&value));
            let secret_id = mapping.optional("secret_id").map(|value| secret::source(&value));
            let mount = mount(mapping, "approle");
            let secret_id = match secret_id {
                None => None,
                Some(secret_id) => Some(secret_id?),
            };
            Some(Login::AppRole { mount: mount?, role_id: role_id?, secret_id })
        }
        Method::Kubernetes | Method::Jwt => {
            let is_jwt = method == Method::Jwt;
            let role = needed(mapping, "role").and_then(|value| value.parse(name));
            let jwt = if is_jwt { needed(mapping, "jwt") } else { mapping.optional("jwt") };
            let is_default = jwt.is_none() && !is_jwt;
            let jwt = jwt.and_then(|value| secret::source(&value)).map(Jwt::Source);
            let method = if is_jwt { "jwt" } else { "kubernetes" };
            let mount = mount(mapping, method);
            let jwt = if is_default { Some(Jwt::ServiceAccount) } else { jwt };
            Some(Login::Jwt { method, mount: mount?, role: role?, jwt: jwt? })
        }
        Method::Certificate => {
            let role = mapping.optional("role").map(|value| value.parse(name));
            let mount = mount(mapping, "cert");
            let role = match role {
                None => None,
                Some(role) => Some(role?),
            };
            Some(Login::Certificate { mount: mount?, role })
        }
    }
}

/// The value of a key that this method requires.
fn needed<'a>(mapping: &mut Mapping<'a>, key: &'static str) -> Option<Value<'a>> {
    if !mapping.has(key) {
        mapping.value().error(format!("`{key}` is required with this `method`"));
    }
    mapping.optional(key)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("the name of a role".into());
    }
    Ok(text.to_owned())
}

fn path_of_mount(text: &str) -> Result<String, String> {
    paths::path(text.trim_end_matches('/'))
        .map_err(|_| "a path such as `approle` or `kubernetes/prod`".into())
}

/// A request of a login.
pub(super) struct LoginRequest {
    /// The path of the API.
    pub(super) path: String,
    pub(super) body: Json,
    /// What the body has that is secret.
    pub(super) secrets: Vec<Secret>,
}

impl Login {
    /// The name of the method, in messages.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::AppRole { .. } => "approle",
            Self::Jwt { method, .. } => method,
            Self::Certificate { .. } => "certificate",
        }
    }

    /// What to look at if the store refuses the login, by its answer.
    pub(super) fn advice(&self, status: u16, stated: &str) -> &'static str {
        const MOUNT: &str = "; is the method enabled at `mount` (`vault auth list`), and is `namespace` right? The answer is the same \
            for a path that does not exist";
        match (self, status) {
            _ if stated.contains("could not load") => {
                "; the method is enabled, and was never configured (`auth/MOUNT/config`)"
            }
            (Self::Token(_), 401 | 403) => {
                "; the token is unknown, has ended or was revoked, or is one of another `namespace`"
            }
            (Self::AppRole { secret_id: None, .. }, 400) => "; the role demands a `secret_id`",
            (Self::AppRole { .. }, 400) => {
                "; has the SecretID ended or been used up (`secret_id_ttl`, `secret_id_num_uses` of the role), and is it one of the role \
                 of `role_id`? `vault write -force auth/MOUNT/role/ROLE/secret-id` makes a new one"
            }
            (Self::Jwt { .. }, 400) if stated.contains("role") => {
                "; has the method at this `mount` such a `role` (`vault list auth/MOUNT/role`)?"
            }
            (Self::Jwt { method: "kubernetes", .. }, 403) => {
                "; does the role accept this service account, its namespace and the audience of the token, and may the store ask the \
                 cluster (TokenReview)? A `mount` that does not exist is answered so, too"
            }
            (Self::Jwt { .. }, 400) => {
                "; does the role accept issuer, audience and subject of the token, and has it not ended?"
            }
            (_, 403) => MOUNT,
            _ => "",
        }
    }

    /// What a login sends, with the current values of its secrets. `None` for a token.
    pub(super) fn request(&self) -> Result<Option<LoginRequest>, SourceError> {
        let mut body = Map::new();
        let mut secrets = Vec::new();
        let mut add = |key: &str, secret: Secret| {
            body.insert(key.to_owned(), json!(secret.expose()));
            secrets.push(secret);
        };
        let mount = match self {
            Self::Token(_) => return Ok(None),
            Self::AppRole { mount, role_id, secret_id } => {
                add("role_id", role_id.secret()?);
                if let Some(secret_id) = secret_id {
                    add("secret_id", secret_id.secret()?);
                }
                mount
            }
            Self::Jwt { mount, role, jwt, .. } => {
                add("jwt", jwt.read()?);
                body.insert("role".into(), json!(role));
                mount
            }
            Self::Certificate { mount, role } => {
                if let Some(role) = role {
                    body.insert("name".into(), json!(role));
                }
                mount
            }
        };
        Ok(Some(LoginRequest { path: format!("auth/{mount}/login"), body: body.into(), secrets }))
    }
}

impl Jwt {
    fn read(&self) -> Result<Secret, SourceError> {
        let path = Path::new(SERVICE_ACCOUNT_TOKEN);
        let failed = |error: &dyn std::fmt::Display| {
            SourceError::new(format!(
                "cannot read the token of the service account in {SERVICE_ACCOUNT_TOKEN}: {error}; it is there if the Pod has \
                 `automountServiceAccountToken: true`, and `jwt` names another file"
            ))
        };
        match self {
            Self::Source(source) => source.secret(),
            Self::ServiceAccount => {
                let content = read_file(path, MAX_TOKEN_BYTES).map_err(|error| failed(&error))?;
                let text = SecretText::of_content(content).map_err(|error| failed(&error))?;
                text.into_secret().map_err(|error| failed(&error))
            }
        }
    }
}
