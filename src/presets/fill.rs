//! The service that a preset and answers make.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use super::placeholders::placeholders;
use super::preset::{Preset, Question};

/// What was answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Texts by the name of their question.
    pub texts: BTreeMap<String, String>,
    /// Where each secret is read from (`{ file: PATH }`), by its name.
    pub secrets: BTreeMap<String, Value>,
}

/// Why the answers make no service.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// An answer is missing or has another form.
    #[error("{0}")]
    Answer(String),
    /// A secret has no source.
    #[error("the secret `{0}` is required")]
    Secret(String),
    /// An answer to a question that the preset does not have.
    #[error("`{0}` does not ask for `{1}`; it asks for: {2}")]
    Unknown(String, String, String),
}

impl Preset {
    /// The service, as it stands in the services file.
    pub fn fill(&self, answers: &Answers) -> Result<Value, FillError> {
        for name in answers.texts.keys().chain(answers.secrets.keys()) {
            if !self.names().any(|asked| asked == name) {
                let names = self.names().collect::<Vec<_>>().join(", ");
                return Err(FillError::Unknown(self.id.clone(), name.clone(), names));
            }
        }
        let texts = self.texts(answers);
        for question in &self.answers {
            question.check(texts[question.name.as_str()]).map_err(FillError::Answer)?;
        }
        if let Some(missing) = self.secrets.iter().find(|secret| !answers.secrets.contains_key(&secret.name))
        {
            return Err(FillError::Secret(missing.name.clone()));
        }
        let filled = fill(&self.service, &texts, &answers.secrets);
        Ok(filled.unwrap_or(Value::Mapping(Mapping::new())))
    }

    /// The path of the test, if the preset has one and its placeholders have answers.
    pub fn filled_test_path(&self, answers: &Answers) -> Option<String> {
        fill_placeholders(self.test_path.as_ref()?, &self.texts(answers), str::to_owned)
    }

    /// The answers by the name of their question, or the defaults; empty if there is neither.
    fn texts<'a>(&'a self, answers: &'a Answers) -> BTreeMap<&'a str, &'a str> {
        let answer = |question: &'a Question| {
            let given = answers.texts.get(&question.name).or(question.default.as_ref());
            (question.name.as_str(), given.map_or("", String::as_str))
        };
        self.answers.iter().map(answer).collect()
    }
}

/// A value with its placeholders replaced; `None` if one of them has no answer.
fn fill(value: &Value, texts: &BTreeMap<&str, &str>, secrets: &BTreeMap<String, Value>) -> Option<Value> {
    match value {
        Value::String(text) => fill_text(text, texts, secrets),
        Value::Sequence(items) => {
            let items: Vec<_> = items.iter().filter_map(|item| fill(item, texts, secrets)).collect();
            (!items.is_empty()).then(|| items.into())
        }
        Value::Mapping(entries) => {
            let filled = |(key, value): (&Value, &Value)| Some((key.clone(), fill(value, texts, secrets)?));
            let entries: Mapping = entries.iter().filter_map(filled).collect();
            (!entries.is_empty()).then_some(Value::Mapping(entries))
        }
        other => Some(other.clone()),
    }
}

fn fill_text(text: &str, texts: &BTreeMap<&str, &str>, secrets: &BTreeMap<String, Value>) -> Option<Value> {
    if let Some(source) = text.strip_prefix('<').and_then(|text| secrets.get(text.strip_suffix('>')?)) {
        return Some(source.clone());
    }
    // An answer is no variable of the environment.
    fill_placeholders(text, texts, |answer| answer.replace("${", "$${")).map(Value::from)
}

/// A text with its placeholders replaced by answers, each as `written` writes it; `None` if one has no answer.
fn fill_placeholders(
    text: &str,
    texts: &BTreeMap<&str, &str>,
    written: impl Fn(&str) -> String,
) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    for name in placeholders(text) {
        let (before, after) = rest.split_once(&format!("<{name}>"))?;
        let answer = texts.get(name).filter(|answer| !answer.is_empty())?;
        filled.push_str(before);
        filled.push_str(&written(answer));
        rest = after;
    }
    Some(filled + rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn preset() -> Preset {
        serde_yaml::from_str(
            "{id: x, title: X, docs: 'https://x', answers: [{name: tenant, prompt: Tenant, format: label}, \
             {name: scope, prompt: Scope, optional: true}, {name: host, prompt: Host, format: host, default: x.example}], \
             secrets: [{name: key, prompt: Key}], service: {upstream: 'https://<tenant>.<host>/a', auth: {type: bearer, \
             token: <key>, scopes: [<scope>], n: 5}}}",
        )
        .unwrap()
    }

    fn answers(texts: &[(&str, &str)]) -> Answers {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let source = serde_yaml::from_str("{file: /k}").unwrap();
        Answers { texts, secrets: std::iter::once(("key".to_owned(), source)).collect() }
    }

    #[test]
    fn placeholders_are_replaced_and_entries_without_answer_left_out() {
        let service = preset().fill(&answers(&[("tenant", "acme")])).unwrap();
        let expected =
            "{upstream: 'https://acme.x.example/a', auth: {type: bearer, token: {file: /k}, n: 5}}";
        assert_eq!(service, serde_yaml::from_str::<Value>(expected).unwrap());
    }

    #[test]
    fn path_of_the_test_has_the_answers() {
        let preset = Preset { test_path: Some("/<tenant>/me?host=<host>".into()), ..preset() };
        let path = |texts| preset.filled_test_path(&answers(texts));
        assert_eq!(path(&[("tenant", "acme")]).as_deref(), Some("/acme/me?host=x.example"));
        assert_eq!(path(&[]), None);
    }

    #[test]
    fn answer_is_text_and_neither_yaml_nor_a_variable() {
        let service = preset().fill(&answers(&[("tenant", "a"), ("scope", "<key>: ${HOME} }")])).unwrap();
        assert_eq!(service["auth"]["scopes"][0], "<key>: $${HOME} }");
    }

    #[test]
    fn wrong_answers_are_named() {
        let error = |texts: &[(&str, &str)]| preset().fill(&answers(texts)).unwrap_err().to_string();
        assert_eq!(error(&[]), "`tenant` is required");
        assert!(error(&[("tenant", "acme.example")]).starts_with("`tenant` is one label"));
        assert!(error(&[("tenant", "a"), ("host", "https://x/")]).starts_with("`host` is a host name"));
        assert!(error(&[("tenant", "a"), ("scope", "a\nb")]).contains("control character"));
        assert_eq!(
            error(&[("tennant", "a")]),
            "`x` does not ask for `tennant`; it asks for: tenant, scope, host, key"
        );
        let no_secret = preset().fill(&Answers { secrets: BTreeMap::new(), ..answers(&[("tenant", "a")]) });
        assert_eq!(no_secret.unwrap_err(), FillError::Secret("key".into()));
    }
}
