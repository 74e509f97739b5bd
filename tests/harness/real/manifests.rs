//! helm, kubectl and kubernetes-validate.

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

/// Runs kubectl with a cluster.
pub fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Output {
    let mut kubectl = Command::new(installed("node_modules/.kubernetes/kubectl/kubectl"));
    // What it learns about the API is kept in a folder: one that is as old as the cluster.
    let cache = kubeconfig.with_file_name("kubectl-cache");
    run(kubectl.arg("--cache-dir").arg(cache).arg("--kubeconfig").arg(kubeconfig).args(arguments))
}

/// Runs helm without a cluster: nothing may reach one that the machine has settings for.
pub fn helm<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    helm_with(Path::new("/dev/null"), arguments)
}

/// Runs helm with a cluster. Its settings and caches are in a folder that does not exist.
pub fn helm_with<S: AsRef<std::ffi::OsStr>>(
    kubeconfig: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Output {
    let mut helm = Command::new(installed("node_modules/.kubernetes/helm/helm"));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-helm");
    for name in ["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME"] {
        helm.env(name, &home);
    }
    helm.env("KUBECONFIG", kubeconfig).args(arguments);
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
