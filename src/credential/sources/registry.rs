//! All sources of secrets.

use super::{aws_secrets_manager, env, exec, file, vault};
use crate::config::SourceKind;

/// The sources, in the order in which messages list them. A source is one file in this folder and one line here.
#[rustfmt::skip]
pub const SOURCES: &[SourceKind] = &[
    file::KIND,
    env::KIND,
    exec::KIND,
    vault::KIND,
    aws_secrets_manager::KIND,
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config;
    use crate::config::{Config, ConfigError};
    use crate::credential::READERS;

    const SAMPLES: &str = include_str!("../../../config/services.yaml");
    const DOCS: &str = include_str!("../../../docs/CONFIGURATION.md");

    /// The first secret in a file that is read from a source.
    fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
        let entries = value.as_object().into_iter().flat_map(serde_json::Map::values);
        let mut inner = entries.chain(value.as_array().into_iter().flatten());
        if value.get(name).is_some() { Some(value) } else { inner.find_map(|value| find(value, name)) }
    }

    fn sample(name: &str) -> Value {
        let samples: Value = serde_yaml::from_str(SAMPLES).unwrap();
        let found = find(&samples["services"], name);
        found.unwrap_or_else(|| panic!("config/services.yaml has no secret with `{name}`")).clone()
    }

    fn read(secret: &Value) -> Result<Config, ConfigError> {
        let auth = json!({ "type": "bearer", "token": secret });
        let text = json!({ "services": { "a": { "upstream": "https://a.example", "auth": auth } } });
        Config::parse_with(&text.to_string(), "a.yaml", &|_| Some("CANARY".into()), READERS)
    }

    #[test]
    fn sources_have_schema_sample_and_docs() {
        let schema = config::schema(READERS);
        let forms = schema["$defs"]["secret"]["anyOf"].as_array().unwrap();
        let secrets = DOCS.split_once("\n## Secrets\n").unwrap().1.split("\n## ").next().unwrap();
        for source in SOURCES {
            let (name, form) = (source.name(), source.form);
            assert!(source.keys[0].is_required(), "{name}");
            let is_of = |schema: &&Value| schema["required"] == json!([name]);
            let part = forms.iter().find(is_of).unwrap_or_else(|| panic!("schema of {name}"));
            assert!(part["properties"][name].is_object(), "schema of {name}");
            assert!(form.starts_with(&format!("{{ {name}: ")), "{form}");
            let row = secrets.lines().find(|line| line.starts_with(&format!("| `{{ {name}: ")));
            assert!(row.is_some(), "docs/CONFIGURATION.md has no row for {name} under \"Secrets\"");
            sample(name);
        }
    }

    #[test]
    fn sources_show_no_value_and_errors_name_the_place() {
        for name in SOURCES.iter().map(SourceKind::name) {
            match read(&sample(name)) {
                Ok(config) => assert!(!format!("{config:?}").contains("CANARY"), "{name}"),
                Err(error) => {
                    let error = format!("{error} {error:?}");
                    assert!(
                        error.contains("services.a.auth.token: ") && !error.contains("CANARY"),
                        "{error}"
                    );
                }
            }
            // A value of the wrong type is an error of the same key, or one below it.
            for wrong in [json!({}), json!(null), json!(""), json!("CA\0NARY")] {
                let wrong = json!({ name: wrong });
                let error = format!("{}", read(&wrong).err().unwrap_or_else(|| panic!("{wrong}")));
                assert!(error.contains("services.a.auth.token") && !error.contains("NARY"), "{error}");
            }
        }
    }

    #[test]
    fn secret_has_one_source() {
        let both = json!({ "env": "CANARY", "file": "/CANARY" });
        let error = read(&both).unwrap_err().to_string();
        assert!(error.contains("both `file` and `env` are set; a secret has one source"), "{error}");
        let none = read(&json!({})).unwrap_err().to_string();
        assert!(
            none.contains("a secret is `{ file: PATH }`, `{ env: NAME }`, `{ exec: [COMMAND, …] }`, `{ vault: { path: PATH, field: NAME } }`, `{ aws_secrets_manager: { id: ID } }` or text"),
            "{none}"
        );
    }
}
