//! Everything that kustomize and Helm render, for tests that hold for all of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde_yaml::{Mapping, Value};

use super::objects::parse;
use crate::harness::{helm, kubectl_kustomize};

/// What a folder or a set of values renders to.
pub struct Rendered {
    pub name: String,
    pub text: String,
    pub objects: Vec<Value>,
}

impl Rendered {
    fn new(name: String, text: String) -> Self {
        Self { objects: parse(&text), name, text }
    }
}

/// Every kustomization below deploy/kubernetes that can be applied, and the chart with every file of its folder `ci`.
pub fn all() -> Vec<&'static Rendered> {
    let examples = sorted(&kubernetes().join("examples"));
    let values = sorted(&chart().join("ci"));
    let bases = ["gateway", "webhook"].map(|name| kubernetes().join(name));
    examples.iter().chain(&bases).chain(&values).map(|path| rendered(&last(path))).collect()
}

/// One of [`all`]: a folder below deploy/kubernetes, or a file of the chart's folder `ci`. It is rendered once.
pub fn rendered(name: &str) -> &'static Rendered {
    static CACHE: Mutex<BTreeMap<String, &'static Rendered>> = Mutex::new(BTreeMap::new());
    CACHE.lock().entry(name.to_owned()).or_insert_with(|| {
        Box::leak(Box::new(if name.ends_with("-values.yaml") {
            from_chart(name)
        } else {
            Rendered::new(name.to_owned(), kubectl_kustomize(&kubernetes().join(name)))
        }))
    })
}

/// The chart with a file of its folder `ci`, as the release `sidekey` in the namespace `sidekey`.
fn from_chart(values: &str) -> Rendered {
    let config = (values == "gateway-values.yaml").then(gateway_config);
    let mut arguments =
        vec!["template".into(), "sidekey".into(), chart(), "--namespace".into(), "sidekey".into()];
    let files = [Some(chart().join("ci").join(values)), config.as_ref().map(|file| file.path().into())];
    for file in files.into_iter().flatten() {
        arguments.extend(["--values".into(), file]);
    }
    let output = helm(arguments);
    assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
    Rendered::new(values.to_owned(), String::from_utf8(output.stdout).unwrap())
}

/// Values with the configuration of deploy/kubernetes/gateway, without what the chart itself adds.
fn gateway_config() -> tempfile::NamedTempFile {
    let text = fs::read_to_string(kubernetes().join("gateway/services.yaml")).unwrap();
    let mut config: Mapping = serde_yaml::from_str(&text).unwrap();
    for key in ["listen", "admin", "threads", "shutdown", "shared", "defaults"] {
        config.remove(key).unwrap_or_else(|| panic!("no {key} in gateway/services.yaml"));
    }
    let values = serde_json::json!({ "gateway": { "config": config } });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, values.to_string()).unwrap();
    file
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn last(path: &Path) -> String {
    let parent = path.parent().and_then(Path::file_name).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    if parent == "examples" { format!("examples/{name}") } else { name.to_owned() }
}

pub fn kubernetes() -> PathBuf {
    deploy().join("kubernetes")
}

pub fn chart() -> PathBuf {
    deploy().join("helm/sidekey")
}

pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}
