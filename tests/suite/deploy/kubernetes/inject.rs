//! The components of kustomize add what `sidekey inject` adds.

use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use super::objects::{at, find, kind_of, parse, pod};
use super::rendered::{kubernetes, rendered};

#[test]
fn components_add_what_inject_adds() {
    // Without a uid, as every manifest here. The wait is what the component for older clusters has.
    let native = ["--run-as-user", "any"].as_slice();
    let classic = &["--run-as-user", "any", "--native-sidecar", "false", "--wait-before-exit", "5s"];
    for (name, source, flags) in [
        ("deployment", "app/deployment.yaml", native),
        ("job", "job/job.yaml", native),
        ("cronjob", "cronjob/cronjob.yaml", native),
        ("deployment-classic", "app/deployment.yaml", classic),
        ("job-classic", "job-classic/job.yaml", &classic[..4]),
    ] {
        let injected = inject(&kubernetes().join("examples").join(source), flags);
        let name = format!("examples/{name}");
        let kustomized =
            rendered(&name).objects.iter().find(|object| kind_of(object) == kind_of(&injected)).unwrap();
        let spec = |object| sorted(&pod(object).unwrap()["spec"]);
        assert_eq!(spec(kustomized), spec(&injected), "{name}");
    }
}

#[test]
fn inject_leaves_alone_what_a_component_added() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(&file, &rendered("examples/deployment").text).unwrap();
    let output = run(file.path(), &[]);
    let again = parse(&output);
    assert_eq!(
        find(&again, "Deployment", "orders"),
        find(&rendered("examples/deployment").objects, "Deployment", "orders")
    );
}

/// The first object of what `sidekey inject` writes.
pub fn inject(file: &Path, flags: &[&str]) -> Value {
    let objects = parse(&run(file, flags));
    let injected = objects.into_iter().next().unwrap();
    assert!(
        at(pod(&injected).unwrap(), "metadata.annotations").is_some(),
        "{}: not injected",
        file.display()
    );
    injected
}

fn run(file: &Path, flags: &[&str]) -> String {
    let mut inject = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    let output = inject.arg("inject").args(flags).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same with the keys of mappings in order; lists stay as they are.
fn sorted(node: &Value) -> serde_json::Value {
    // A map of serde_json is sorted.
    serde_json::to_value(node).unwrap()
}
