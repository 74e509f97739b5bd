//! The variables that lead an app to Sidekey as its proxy, and past it to what is in the cluster.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::operation::{Operation, token};
use super::pod::{Pod, name_of};
use super::settings::{ProxyEnv, Settings};

/// Variables that name the proxy for `http://`.
const HTTP_PROXIES: &[&str] = &["HTTP_PROXY", "http_proxy"];

/// Variables that name the proxy for both schemes.
const ALL_PROXIES: &[&str] = &["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];

/// Variables that name what is called without the proxy. Programs read one of them, or prefer one: curl and Python the second.
const NO_PROXIES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Loopback, the API server by each of its names, and every Service. The kubelet puts the address in.
const IN_THE_CLUSTER: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "$(KUBERNETES_SERVICE_HOST)",
    "kubernetes.default",
    ".svc",
    ".cluster.local",
];

/// What is set in the app's containers.
pub(super) struct ProxyVariables {
    proxies: &'static [&'static str],
    proxy: String,
    no_proxy: Vec<String>,
}

impl ProxyVariables {
    /// The variables that the settings ask for; `None` if they ask for none.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let proxies = match settings.proxy_env {
            ProxyEnv::Off => return None,
            ProxyEnv::Http => HTTP_PROXIES,
            ProxyEnv::All => ALL_PROXIES,
        };
        let in_the_cluster = IN_THE_CLUSTER.into_iter().map(String::from);
        Some(Self {
            proxies,
            proxy: format!("http://127.0.0.1:{}", settings.port),
            no_proxy: in_the_cluster
                .chain(settings.cluster_networks.iter().map(ToString::to_string))
                .collect(),
        })
    }

    /// The operations on the containers of one list, and warnings about variables that stay as they are.
    pub(super) fn operations(&self, pod: Pod<'_>, at: &str, list: &str) -> (Vec<Operation>, Vec<String>) {
        let (mut operations, mut warnings) = (Vec::new(), Vec::new());
        for (index, container) in pod.list(list).iter().enumerate() {
            let at = format!("{at}/spec/{}/{index}/env", token(list));
            self.of_container(container, &at, &mut operations, &mut warnings);
        }
        (operations, warnings)
    }

    fn of_container(
        &self,
        container: &Value,
        at: &str,
        operations: &mut Vec<Operation>,
        warnings: &mut Vec<String>,
    ) {
        let env = container.get("env").and_then(Value::as_array);
        let variables = env.map_or(&[][..], Vec::as_slice);
        // Of two variables of one name the last counts.
        let find = |name: &str| variables.iter().rposition(|variable| name_of(variable) == name);
        let has_more =
            container.get("envFrom").and_then(Value::as_array).is_some_and(|more| !more.is_empty());
        let mut added = Vec::new();
        for &name in self.proxies {
            match find(name).map(|index| &variables[index]) {
                None => added.push(json!({"name": name, "value": self.proxy})),
                Some(variable) if variable.get("value") == Some(&Value::from(self.proxy.as_str())) => {}
                Some(_) => warnings.push(format!(
                    "container `{}` keeps its own `{name}`: what it calls by that proxy gets no credential",
                    name_of(container)
                )),
            }
        }
        let text = |index: usize| {
            let value = variables[index].get("value").map_or(Some(""), Value::as_str);
            value.filter(|_| variables[index].get("valueFrom").is_none_or(Value::is_null))
        };
        let [upper, lower] = NO_PROXIES;
        for (name, other) in [(upper, lower), (lower, upper)] {
            let Some(index) = find(name) else {
                let own = match find(other).and_then(text) {
                    // The new one is not to hide what the app had.
                    Some(value) => value.to_owned(),
                    // Variables of `envFrom` are replaced by this one, and can be referred to in it.
                    None if has_more => format!("$({name}),$({other})"),
                    None => String::new(),
                };
                added.push(json!({"name": name, "value": self.extended(&own)}));
                continue;
            };
            let Some(value) = text(index) else {
                warnings.push(format!(
                    "container `{}` keeps its own `{name}`, which is not written here: add {} to it",
                    name_of(container),
                    self.no_proxy.join(",")
                ));
                continue;
            };
            let extended = self.extended(value);
            if extended != value {
                let path = format!("{at}/{index}/value");
                let value = extended.into();
                operations.push(match variables[index].get("value") {
                    Some(_) => Operation::Replace { path, value },
                    None => Operation::Add { path, value },
                });
            }
        }
        if env.is_none_or(Vec::is_empty) {
            operations.push(Operation::Add { path: at.to_owned(), value: added.into() });
        } else {
            // Each is inserted before those that were inserted already.
            let insert = |value| Operation::Add { path: format!("{at}/0"), value };
            operations.extend(added.into_iter().rev().map(insert));
        }
    }

    /// What a variable has, and all that it does not have yet.
    fn extended(&self, value: &str) -> String {
        let there: BTreeSet<&str> = value.split(',').map(str::trim).collect();
        if there.contains("*") {
            return value.to_owned();
        }
        let new = self.no_proxy.iter().map(String::as_str).filter(|entry| !there.contains(entry));
        let own = Some(value.trim_end_matches([',', ' '])).filter(|value| !value.is_empty());
        let all: Vec<_> = own.into_iter().chain(new.clone()).collect();
        if new.count() == 0 { value.to_owned() } else { all.join(",") }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::inject::apply;

    fn injected(container: &Value) -> (Value, Vec<String>) {
        let mut template = json!({"spec": {"containers": [container]}});
        let settings = Settings {
            proxy_env: ProxyEnv::All,
            cluster_networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..Settings::default()
        };
        let (operations, warnings) =
            ProxyVariables::new(&settings).unwrap().operations(Pod::new(&template.clone()), "", "containers");
        apply(&mut template, &operations).unwrap();
        (template["spec"]["containers"][0]["env"].clone(), warnings)
    }

    const ALL: &str = "localhost,127.0.0.1,::1,$(KUBERNETES_SERVICE_HOST),kubernetes.default,.svc,.cluster.local,10.0.0.0/8";

    fn value<'e>(env: &'e Value, name: &str) -> &'e str {
        let variables = env.as_array().unwrap();
        variables.iter().find(|variable| variable["name"] == name).unwrap()["value"].as_str().unwrap()
    }

    #[test]
    fn container_without_variables_gets_all() {
        for container in [json!({"name": "a"}), json!({"name": "a", "env": null}), json!({"env": []})] {
            let (env, warnings) = injected(&container);
            let names: Vec<_> = env.as_array().unwrap().iter().map(name_of).collect();
            assert_eq!(names, [ALL_PROXIES, &NO_PROXIES].concat());
            assert_eq!(value(&env, "https_proxy"), "http://127.0.0.1:8080");
            assert_eq!(value(&env, "NO_PROXY"), ALL);
            assert_eq!(warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn no_proxy_is_kept_and_extended() {
        for (own, expected) in [
            ("", ALL.to_owned()),
            ("corp.example, .svc", format!("corp.example, .svc,{}", ALL.replace(".svc,", ""))),
            ("a,", format!("a,{ALL}")),
            ("*", "*".to_owned()),
            (ALL, ALL.to_owned()),
        ] {
            let (env, _) = injected(&json!({"env": [{"name": "no_proxy", "value": own}, {"name": "X"}]}));
            assert_eq!(value(&env, "no_proxy"), expected);
            assert_eq!(value(&env, "NO_PROXY"), expected, "a program may prefer the one that is new");
        }
        let both = json!([{"name": "NO_PROXY", "value": "a"}, {"name": "no_proxy", "value": "b"}]);
        let (env, _) = injected(&json!({"env": both}));
        assert_eq!(
            (value(&env, "NO_PROXY"), value(&env, "no_proxy")),
            (&*format!("a,{ALL}"), &*format!("b,{ALL}"))
        );
        assert_eq!(value(&injected(&json!({"env": [{"name": "NO_PROXY"}]})).0, "NO_PROXY"), ALL);
        let (env, _) = injected(&json!({"envFrom": [{"configMapRef": {"name": "a"}}]}));
        assert_eq!(value(&env, "NO_PROXY"), format!("$(NO_PROXY),$(no_proxy),{ALL}"));
        assert_eq!(value(&env, "no_proxy"), format!("$(no_proxy),$(NO_PROXY),{ALL}"));
    }

    #[test]
    fn variable_that_cannot_be_changed_stays_with_a_warning() {
        let from = json!({"name": "NO_PROXY", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}});
        let proxy = json!({"name": "HTTPS_PROXY", "value": "http://corp.example:3128"});
        let (env, warnings) = injected(&json!({"name": "app", "env": [from, proxy]}));
        assert!(env.as_array().unwrap().contains(&from) && env.as_array().unwrap().contains(&proxy));
        assert_eq!(warnings.len(), 2);
        assert!(warnings.iter().all(|warning| warning.starts_with("container `app` keeps its own")));
    }
}
