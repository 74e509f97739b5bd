//! What the API server of the tests (1.20) does not know of the manifests, and what it has instead.
//!
//! Everything else is installed as it is. tests/suite/deploy/kubernetes validates the manifests for newer versions.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::tool;
use crate::suite::deploy::image::succeed;
use crate::suite::deploy::kubernetes::rendered::{chart, kubernetes};

/// Texts of the chart, each with the one in its place.
const CHART: [(&str, &str); 7] = [
    ("kubeVersion: \">=1.29.0-0\"", "kubeVersion: \">=1.20.0-0\""),
    ("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n"),
    ("apiVersion: autoscaling/v2\n", "apiVersion: autoscaling/v2beta2\n"),
    ("  unhealthyPodEvictionPolicy: AlwaysAllow\n", ""),
    ("  matchLabelKeys: [pod-template-hash]\n", ""),
    // Its server-side apply has no default for it.
    (", targetPort: ", ", protocol: TCP, targetPort: "),
    ("{ name: valkey, port: 6379 }", "{ name: valkey, port: 6379, protocol: TCP }"),
];

/// The same of a kustomization, as patches in JSON (RFC 6902) of all objects of a kind.
const PATCHES: [(&str, &str, &str); 3] = [
    (
        "PodDisruptionBudget",
        ".*",
        r#"[{ "op": "replace", "path": "/apiVersion", "value": "policy/v1beta1" },
            { "op": "remove", "path": "/spec/unhealthyPodEvictionPolicy" }]"#,
    ),
    (
        "HorizontalPodAutoscaler",
        ".*",
        r#"[{ "op": "replace", "path": "/apiVersion", "value": "autoscaling/v2beta2" }]"#,
    ),
    (
        "Deployment",
        ".*",
        r#"[{ "op": "remove", "path": "/spec/template/spec/topologySpreadConstraints/0/matchLabelKeys" },
            { "op": "remove", "path": "/spec/template/spec/topologySpreadConstraints/1/matchLabelKeys" }]"#,
    ),
];

/// A copy of the chart for 1.20, in a folder.
pub fn older_chart(folder: &Path) -> PathBuf {
    let copy = folder.join("sidekey");
    // Its links to alerts and dashboard become files.
    succeed(Command::new(tool("cp")).args(["--recursive", "--dereference"]).arg(chart()).arg(&copy));
    let mut replaced = [0; CHART.len()];
    replace_in(&copy, &mut replaced);
    assert!(!replaced.contains(&0), "the chart has changed: {replaced:?}");
    copy
}

fn replace_in(path: &Path, replaced: &mut [usize; CHART.len()]) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            replace_in(&entry.unwrap().path(), replaced);
        }
        return;
    }
    let mut text = fs::read_to_string(path).unwrap();
    for ((new, old), count) in CHART.iter().zip(replaced) {
        *count += text.matches(new).count();
        text = text.replace(new, old);
    }
    fs::write(path, text).unwrap();
}

/// A kustomization in a folder that has one of deploy/kubernetes, for 1.20.
pub fn older_kustomization(folder: &Path, name: &str) -> PathBuf {
    let overlay = folder.join(name);
    fs::create_dir(&overlay).unwrap();
    // A base is named by a relative path.
    let up = "../".repeat(overlay.canonicalize().unwrap().components().count() - 1);
    let base = kubernetes().join(name);
    let mut text = format!("resources: ['{up}{}']\npatches:\n", base.strip_prefix("/").unwrap().display());
    for (kind, name, patch) in PATCHES {
        writeln!(text, "  - {{ target: {{ kind: {kind}, name: {name} }}, patch: '{patch}' }}").unwrap();
    }
    fs::write(overlay.join("kustomization.yaml"), text).unwrap();
    overlay
}
