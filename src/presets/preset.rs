//! A preset.

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::placeholders::placeholders;

/// A provider, or a kind of credential: what must be asked, and the service that results.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// `[a-z0-9-]`; also the default name of the service.
    pub id: String,
    /// The provider's name, as it writes it.
    pub title: String,
    /// Where the provider documents its authentication.
    pub docs: String,
    /// Where a person makes the credential.
    pub obtain: Option<String>,
    /// What is asked and is not secret.
    #[serde(default)]
    pub answers: Vec<Question>,
    /// The secrets.
    #[serde(default)]
    pub secrets: Vec<SecretQuestion>,
    /// The service, as in the services file. `<NAME>` in a text stands for an answer. A text that is `<NAME>` and nothing else may
    /// stand for where a secret is read from.
    pub service: Value,
    /// A path that answers 200 to a GET with a good credential, and needs no resource; `None` if the API has none. `<NAME>` in it stands
    /// for an answer, so it is read by [`Self::filled_test_path`] only.
    pub(super) test_path: Option<String>,
    /// What is easily got wrong.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Something that is asked and is not secret.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// `[a-z0-9_]`
    pub name: String,
    /// The question, without a question mark.
    pub prompt: String,
    /// What an answer looks like.
    #[serde(default)]
    pub format: AnswerFormat,
    /// The answer if none is given.
    pub default: Option<String>,
    /// Whether there may be no answer. Entries of the service that need it are left out then.
    #[serde(default)]
    pub optional: bool,
}

/// What an answer looks like.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerFormat {
    /// Any visible characters. Whether the answer is valid where it stands, the reader of the configuration decides.
    #[default]
    Text,
    /// One label of a host name: letters, digits and `-`.
    Label,
    /// A host name, with or without a port.
    Host,
    /// A text without small letters.
    Capitals,
}

/// A secret that is asked for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SecretQuestion {
    /// `[a-z0-9_]`
    pub name: String,
    /// What it is, for the prompt.
    pub prompt: String,
}

impl Preset {
    /// The names of everything that is asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let secrets = self.secrets.iter().map(|secret| secret.name.as_str());
        self.answers.iter().map(|answer| answer.name.as_str()).chain(secrets)
    }

    /// What is asked for a key of the service, by the path of the key: the name of the question or secret.
    pub fn asked_at(&self, path: &[&str]) -> Option<&str> {
        let mut value = &self.service;
        for key in path {
            let Some(below) = value.get(*key) else { break };
            value = below;
        }
        first_placeholder(value).filter(|_| !value.is_mapping() || !path.is_empty())
    }
}

fn first_placeholder(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => placeholders(text).next(),
        Value::Sequence(items) => items.iter().find_map(first_placeholder),
        Value::Mapping(entries) => entries.values().find_map(first_placeholder),
        _ => None,
    }
}

impl Question {
    /// Says what is wrong with an answer, if something is.
    pub fn check(&self, answer: &str) -> Result<(), String> {
        let is_label = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let wrong = match self.format {
            _ if answer.is_empty() && !self.optional => "is required",
            _ if answer.chars().any(char::is_control) => "has a control character",
            AnswerFormat::Label if !answer.chars().all(is_label) => {
                "is one label of a host name: letters, digits and `-`, without the rest of the host"
            }
            AnswerFormat::Host if !answer.chars().all(|c| is_label(c) || ".:_".contains(c)) => {
                "is a host name, without `https://` and without a path"
            }
            AnswerFormat::Capitals if answer.chars().any(|c| c.is_lowercase() || c.is_whitespace()) => {
                "is written in capital letters"
            }
            _ => return Ok(()),
        };
        Err(format!("`{}` {wrong}", self.name))
    }
}
