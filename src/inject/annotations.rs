//! What the annotations of a Pod, or of its namespace, say about the sidecar.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::settings::Settings;
use crate::config::Log;
use crate::config::reader::duration;
use crate::config::reader::suggest::did_you_mean;

/// What Sidekey's annotations begin with.
pub const PREFIX: &str = "sidekey.io/";

/// Whether a Pod gets the sidecar: `enabled` or `disabled`.
pub const INJECT: &str = "sidekey.io/inject";

/// Says that a Pod has the sidecar, with the version that added it.
pub const INJECTED: &str = "sidekey.io/injected";

/// Has what is needed to restore the text of a Pod, if that cannot be seen any more.
pub(super) const RESTORE: &str = "sidekey.io/restore";

/// Reads the text of an annotation into the settings.
type Read = fn(&mut Settings, &str) -> Result<(), String>;

/// An annotation that changes a setting.
pub struct Annotation {
    /// Its name after [`PREFIX`].
    pub name: &'static str,
    read: Read,
}

/// The annotations that change a setting, without [`INJECT`].
pub const ANNOTATIONS: [Annotation; 14] = [
    Annotation { name: "config", read: |settings, text| set(&mut settings.config, text) },
    Annotation { name: "secrets", read: secrets },
    Annotation { name: "native-sidecar", read: |settings, text| set(&mut settings.native_sidecar, text) },
    Annotation { name: "image", read: |settings, text| set(&mut settings.image, text) },
    Annotation {
        name: "image-pull-policy",
        read: |settings, text| set(&mut settings.image_pull_policy, text),
    },
    Annotation { name: "cpu-request", read: |settings, text| set(&mut settings.cpu_request, text) },
    Annotation { name: "cpu-limit", read: |settings, text| set_limit(&mut settings.cpu_limit, text) },
    Annotation { name: "memory-request", read: |settings, text| set(&mut settings.memory_request, text) },
    Annotation { name: "memory-limit", read: |settings, text| set_limit(&mut settings.memory_limit, text) },
    Annotation { name: "proxy-env", read: |settings, text| set(&mut settings.proxy_env, text) },
    Annotation { name: "log-level", read: log_level },
    Annotation { name: "wait-before-exit", read: wait_before_exit },
    Annotation { name: "port", read: |settings, text| port(&mut settings.port, text) },
    Annotation { name: "admin-port", read: |settings, text| port(&mut settings.admin_port, text) },
];

/// A wrong annotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("annotation `{name}`: {problem}")]
pub struct AnnotationError {
    /// The whole name.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What annotations say.
#[derive(Debug)]
pub(super) struct Asked {
    /// What [`INJECT`] says: `enabled` is true.
    pub(super) inject: Option<bool>,
    /// The settings, with those of the annotations.
    pub(super) settings: Settings,
}

/// Reads annotations from several places, each of which wins over those before it.
pub(super) fn read<'a>(
    settings: &Settings,
    places: impl IntoIterator<Item = Option<&'a Map<String, Value>>>,
) -> Result<Asked, AnnotationError> {
    let mut asked = Asked { inject: None, settings: settings.clone() };
    for (name, value) in places.into_iter().flatten().flatten() {
        let Some(short) = name.strip_prefix(PREFIX) else { continue };
        let error = |problem: String| AnnotationError { name: name.clone(), problem };
        let Some(text) = value.as_str() else {
            return Err(error("must be a text: write it in quotes".into()));
        };
        if name == INJECT {
            asked.inject = Some(is_enabled(text).map_err(error)?);
        } else if let Some(annotation) = ANNOTATIONS.iter().find(|annotation| annotation.name == short) {
            (annotation.read)(&mut asked.settings, text.trim()).map_err(error)?;
        } else if ![INJECTED, RESTORE].contains(&name.as_str()) {
            return Err(error(unknown(short)));
        }
    }
    asked.settings.check().map_err(|problem| {
        let name = problem.split(' ').next().unwrap_or_default();
        AnnotationError { name: format!("{PREFIX}{name}"), problem }
    })?;
    Ok(asked)
}

fn unknown(short: &str) -> String {
    let names = ANNOTATIONS.iter().map(|annotation| annotation.name).chain(["inject"]);
    format!("unknown{}", did_you_mean(short, names))
}

fn is_enabled(text: &str) -> Result<bool, String> {
    match text {
        "enabled" => Ok(true),
        "disabled" => Ok(false),
        _ => Err("must be `enabled` or `disabled`".into()),
    }
}

fn set<T: FromStr>(setting: &mut T, text: &str) -> Result<(), String>
where
    T::Err: ToString,
{
    *setting = text.parse().map_err(|error: T::Err| error.to_string())?;
    Ok(())
}

/// A limit; `none` takes it away.
fn set_limit<T: FromStr<Err = String>>(setting: &mut Option<T>, text: &str) -> Result<(), String> {
    *setting = if text == "none" { None } else { Some(text.parse()?) };
    Ok(())
}

fn port(setting: &mut u16, text: &str) -> Result<(), String> {
    *setting = text.parse().ok().filter(|port| *port > 0).ok_or("not a port: 1 to 65535")?;
    Ok(())
}

/// Names, separated by commas. An empty text is no Secret.
fn secrets(settings: &mut Settings, text: &str) -> Result<(), String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    settings.secrets = names.map(str::parse).collect::<Result<_, _>>()?;
    Ok(())
}

fn log_level(settings: &mut Settings, text: &str) -> Result<(), String> {
    Log::check_level(text)?;
    settings.log_level = Some(text.to_owned());
    Ok(())
}

fn wait_before_exit(settings: &mut Settings, text: &str) -> Result<(), String> {
    settings.wait_before_exit = Some(duration::parse(text)?).filter(|wait| !wait.is_zero());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn asked(pod: &Value) -> Result<Asked, String> {
        read(&Settings::default(), [pod.as_object()]).map_err(|error| error.to_string())
    }

    #[test]
    fn every_annotation_changes_its_setting() {
        let values = [
            ("config", "orders"),
            ("secrets", "a, b"),
            ("native-sidecar", "false"),
            ("image", "r.example/sidekey:1"),
            ("image-pull-policy", "Always"),
            ("cpu-request", "10m"),
            ("cpu-limit", "1"),
            ("memory-request", "16Mi"),
            ("memory-limit", "none"),
            ("proxy-env", "true"),
            ("log-level", "warn,sidekey=debug"),
            ("wait-before-exit", "5s"),
            ("port", "15001"),
            ("admin-port", "15090"),
        ];
        assert_eq!(values.map(|(name, _)| name), ANNOTATIONS.map(|annotation| annotation.name));
        for (name, value) in values {
            let settings = asked(&json!({format!("{PREFIX}{name}"): value})).unwrap().settings;
            assert_ne!(settings, Settings::default(), "{name}");
        }
        let all = values.map(|(name, value)| (format!("{PREFIX}{name}"), json!(value)));
        let settings = asked(&Value::Object(all.into_iter().collect())).unwrap().settings;
        assert_eq!((settings.port, settings.admin_port), (15001, 15090));
        assert_eq!(settings.wait_before_exit, Some(Duration::from_secs(5)));
        assert_eq!(settings.secrets.len(), 2);
    }

    #[test]
    fn wrong_value_is_an_error_that_names_its_annotation() {
        for (name, value) in [
            ("inject", "true"),
            ("config", "No Name"),
            ("secrets", "a,B"),
            ("native-sidecar", "yes"),
            ("image", "a b"),
            ("image-pull-policy", "always"),
            ("cpu-request", "lots"),
            ("cpu-limit", "10m"),
            ("memory-request", "1TB"),
            ("memory-limit", "1Mi"),
            ("proxy-env", "1"),
            ("log-level", "loud"),
            ("wait-before-exit", "5"),
            ("port", "0"),
            ("admin-port", "70000"),
        ] {
            let error = asked(&json!({format!("{PREFIX}{name}"): value})).unwrap_err();
            assert!(error.starts_with(&format!("annotation `{PREFIX}{name}`: ")), "{error}");
        }
        let error = asked(&json!({"sidekey.io/proxy-env": true})).unwrap_err();
        assert_eq!(error, "annotation `sidekey.io/proxy-env`: must be a text: write it in quotes");
    }

    #[test]
    fn unknown_annotation_is_an_error_with_the_nearest_name() {
        let error = asked(&json!({"sidekey.io/secret": "a"})).unwrap_err();
        assert!(error.contains("unknown") && error.contains("`secrets`"), "{error}");
        assert!(asked(&json!({"example.com/secret": 1})).is_ok());
    }

    #[test]
    fn pod_wins_over_its_namespace() {
        let namespace =
            json!({"sidekey.io/inject": "enabled", "sidekey.io/config": "n", "sidekey.io/image": "n"});
        let pod = json!({"sidekey.io/inject": "disabled", "sidekey.io/config": "p"});
        let asked = read(&Settings::default(), [namespace.as_object(), pod.as_object()]).unwrap();
        assert_eq!(asked.inject, Some(false));
        let Settings { config, image, .. } = asked.settings;
        assert_eq!((config.to_string(), image.to_string()), ("p".into(), "n".into()));
    }
}
