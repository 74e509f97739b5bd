//! helm, kubectl and kubernetes-validate. None of them needs a cluster.

use std::path::Path;
use std::process::{Command, Output};

use super::installed;

/// What `kubectl kustomize FOLDER` renders.
pub fn kubectl_kustomize(folder: &Path) -> String {
    let mut kubectl = Command::new(installed("node_modules/.kubernetes/kubectl/kubectl"));
    let output = run(kubectl.arg("kustomize").arg(folder));
    assert!(output.status.success(), "{}: {}", folder.display(), text(&output.stderr));
    text(&output.stdout)
}

/// Runs helm. Its settings and caches are in a folder that does not exist.
pub fn helm<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let mut helm = Command::new(installed("node_modules/.kubernetes/helm/helm"));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-helm");
    for name in ["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME"] {
        helm.env(name, &home);
    }
    // Nothing here may reach a cluster that the machine has settings for.
    helm.env("KUBECONFIG", "/dev/null").args(arguments);
    run(&mut helm)
}

/// What kubernetes-validate says about manifests, in strict mode: a field that the version does not know is an error.
pub fn kubernetes_validate(version: &str, manifests: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, manifests).unwrap();
    let mut validate = Command::new(installed(".venv-kubernetes/bin/kubernetes-validate"));
    run(validate.args(["--strict", "-k", version]).arg(file.path()))
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run: make test-deps"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
