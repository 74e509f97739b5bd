//! The bodies of requests that change services. A body may have a secret: nothing of one is repeated in a response or in the log,
//! and it is wiped when it has been read.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use zeroize::{Zeroize, Zeroizing};

use crate::admin::actions::check_path;
use crate::admin::problem::Problem;
use crate::manage::{STORED_SOURCE, SecretPlace, stored_source};

/// How a change is made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Whether nothing is written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) dry_run: bool,
    /// The `revision` of an earlier answer: the change is rejected with 409 if the file has another text by now.
    #[serde(default)]
    pub(super) revision: Option<String>,
}

/// How a change is made that is tested.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestedOptions {
    /// Whether nothing is written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) dry_run: bool,
    /// The `revision` of an earlier answer: the change is rejected with 409 if the file has another text by now.
    #[serde(default)]
    pub(super) revision: Option<String>,
    /// Whether the service is tested. A change whose test fails is not written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) test: bool,
    /// The path that the test GETs, below the path of `upstream`. Default: that of the preset, or `/`.
    #[serde(default)]
    #[schema(pattern = "^/[!-~]*$")]
    pub(super) test_path: Option<String>,
}

/// A service to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Addition {
    /// The name of the service.
    pub(super) name: String,
    /// The `id` of a preset.
    pub(super) preset: String,
    /// Answers to questions of the preset, by their names.
    #[serde(default)]
    pub(super) answers: BTreeMap<String, String>,
    /// Where the secrets of the preset are, by their names.
    #[serde(default)]
    #[schema(inline)]
    pub(super) secrets: BTreeMap<String, SecretBody>,
    /// Other lines than those that the preset makes of the answers: those of the response, with changes.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) lines: Option<Zeroizing<String>>,
    /// Whether nothing is written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) dry_run: bool,
    /// Whether the service is tested. A service whose test fails is not written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) test: bool,
    /// The path that the test GETs, below the path of `upstream`. Default: that of the preset, or `/`.
    #[serde(default)]
    #[schema(pattern = "^/[!-~]*$")]
    pub(super) test_path: Option<String>,
}

/// Another form of a service.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edition {
    /// The lines of the service, as `definition` has them, with changes. Without it they stay as they are.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) lines: Option<Zeroizing<String>>,
    /// Where secrets are from now on, by the path of their key, such as `auth.token`.
    #[serde(default)]
    #[schema(inline)]
    pub(super) secrets: BTreeMap<String, SecretBody>,
    /// Whether nothing is written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) dry_run: bool,
    /// The `revision` of an earlier answer: the change is rejected with 409 if the file has another text by now.
    #[serde(default)]
    pub(super) revision: Option<String>,
    /// Whether the service is tested. A change whose test fails is not written.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) test: bool,
    /// The path that the test GETs, below the path of `upstream`. Default: `/`.
    #[serde(default)]
    #[schema(pattern = "^/[!-~]*$")]
    pub(super) test_path: Option<String>,
}

/// Where a secret is. It has one of the four.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretBody {
    /// The secret itself. It is kept in a new file of mode 0600.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, write_only)]
    value: Option<Zeroizing<String>>,
    /// The path of a file that has it: one below `secrets` of the managed folder, or one that a service uses.
    #[serde(default)]
    file: Option<String>,
    /// An environment variable that has it: one that a service uses.
    #[serde(default)]
    env: Option<String>,
    /// A secret of a store that has it: `vault:PATH#FIELD` or `aws_secrets_manager:ID#FIELD`, with `/STORE` before the colon if there are
    /// several stores. One that a service uses.
    #[serde(default)]
    stored: Option<String>,
}

fn yes() -> bool {
    true
}

/// Reads a body, and wipes it.
pub(super) fn read<T: DeserializeOwned>(body: Bytes) -> Result<T, Problem> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    // What is wrong with it is not said by the library, because that would repeat a part of it.
    let read = serde_json::from_slice(text).map_err(|_| {
        let detail = "The body is a JSON object of the form that GET /api/v1/openapi.json describes.";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    });
    if let Ok(mut bytes) = body.try_into_mut() {
        bytes.as_mut().zeroize();
    }
    read
}

/// Checks a path that a test is to GET.
pub(super) fn checked(path: Option<&String>) -> Result<(), Problem> {
    match path.map(|path| check_path(path)) {
        Some(Err(detail)) => Err(Problem::new(StatusCode::BAD_REQUEST, detail)),
        _ => Ok(()),
    }
}

/// The places of secrets.
pub(super) fn places(
    secrets: BTreeMap<String, SecretBody>,
) -> Result<BTreeMap<String, SecretPlace>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let place = |(name, body): (String, SecretBody)| match (body.value, body.file, body.env, body.stored) {
        (Some(value), None, None, None) => Ok((name, SecretPlace::Typed(value))),
        (None, Some(file), None, None) => Ok((name, SecretPlace::File(file))),
        (None, None, Some(env), None) => Ok((name, SecretPlace::Environment(env))),
        (None, None, None, Some(stored)) => {
            let source = stored_source(&stored);
            let source =
                source.ok_or_else(|| wrong(format!("A secret of a store is written {STORED_SOURCE}.")))?;
            Ok((name, SecretPlace::Stored(source)))
        }
        _ => Err(wrong("Each of `secrets` has one of `value`, `file`, `env` and `stored`.".into())),
    };
    secrets.into_iter().map(place).collect()
}
