//! deploy/prometheus/scrape.yaml: Prometheus accepts it. `kubernetes/monitoring.rs` compares it with the manifests.

use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use crate::harness::tool;

#[test]
fn scrape_config_passes_promtool() {
    let mut config: Value = serde_yaml::from_str(&read("prometheus/scrape.yaml")).unwrap();
    // Debian builds promtool without Kubernetes discovery: it does not know this key, and checks all others.
    let job = config["scrape_configs"][0].as_mapping_mut().unwrap();
    let discovery = job.remove("kubernetes_sd_configs").unwrap();
    assert_eq!(discovery, serde_yaml::from_str::<Value>("[{ role: pod }]").unwrap());

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, serde_yaml::to_string(&config).unwrap()).unwrap();
    let output = Command::new(tool("promtool")).args(["check", "config"]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)).unwrap()
}
