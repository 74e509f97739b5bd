//! `sidekey inject` over manifests of other projects (tests/data/kubernetes-manifests): valid, idempotent, and restored byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Versions with native sidecars. The classic shape is for those before.
const NATIVE: &str = "1.32";
const CLASSIC: &str = "1.28";

/// One file whose Deployments have no selector, so that it is not valid before either.
const INVALID: &str = "inject_gettest_deployment.good.input.yml";

/// One file that is no YAML, which linkerd's own tests call bad.
const BAD: &str = "inject_gettest_deployment.bad.input.yml";

#[test]
fn injected_corpus_is_valid_and_restored() {
    for (version, flags) in [
        (
            NATIVE,
            &["--native-sidecar", "true", "--proxy-env", "--port", "15001", "--admin-port", "15090"][..],
        ),
        (CLASSIC, &["--kubernetes-version", "1.28", "--port", "15001", "--admin-port", "15090"]),
    ] {
        let outputs = tempfile::tempdir().unwrap();
        let (mut written, mut injected) = (Vec::new(), 0);
        for file in corpus() {
            let input = fs::read(&file).unwrap();
            let output = outputs.path().join(written.len().to_string()).with_extension("yaml");
            fs::write(&output, &input).unwrap();
            let report = inject(flags, &output);
            assert!(report.status.success(), "{}: {}", file.display(), text(&report));
            let text_of_first = fs::read(&output).unwrap();
            injected += text(&report).matches(": injected\n").count();

            assert!(inject(flags, &output).status.success());
            assert!(fs::read(&output).unwrap() == text_of_first, "{}: changed again", file.display());
            if text_of_first != input {
                let restored = outputs.path().join("restored.yaml");
                fs::copy(&output, &restored).unwrap();
                let report = inject(&["--uninject"], &restored);
                assert!(report.status.success(), "{}: {}", file.display(), text(&report));
                assert!(fs::read(&restored).unwrap() == input, "{}: not restored", file.display());
                assert_eq!(comments(&text_of_first), comments(&input), "{}", file.display());
                written.push((file, output));
            }
        }
        assert!(written.len() > 40 && injected > 45, "{} files, {injected} objects", written.len());
        let is_valid = |(input, _): &(PathBuf, PathBuf)| input.file_name().unwrap() != INVALID;
        let valid: Vec<_> = written.into_iter().filter(is_valid).map(|(_, output)| output).collect();
        validate(version, &valid);
    }
}

fn comments(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii_start().starts_with(b"#")).count()
}

#[test]
fn bad_manifest_is_named_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    for file in corpus().into_iter().take(3).chain([data().join("linkerd").join(BAD)]) {
        fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let before = contents(folder.path());
    let report = inject(&[], folder.path());
    assert_eq!(report.status.code(), Some(1));
    assert!(text(&report).contains(&format!("{BAD}: line 36: not valid YAML")), "{}", text(&report));
    assert_eq!(contents(folder.path()), before);
}

fn contents(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn inject(flags: &[&str], path: &Path) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_sidekey")).args(["inject", "--in-place"]).args(flags).arg(path))
}

/// Checks manifests against the schemas of a version. That of a kind without a schema is no error.
fn validate(version: &str, files: &[PathBuf]) {
    let validate =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.venv-kubernetes/bin/kubernetes-validate");
    let report = run(Command::new(validate).args(["--strict", "-k", version]).args(files));
    assert!(report.status.success(), "Kubernetes {version}: {}", text(&report));
    assert!(text(&report).matches(" passed for resource ").count() > 40, "{}", text(&report));
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kubernetes-manifests")
}

fn corpus() -> Vec<PathBuf> {
    let folders = ["linkerd", "istio", "examples"].map(|project| data().join(project));
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.file_name().unwrap() != BAD)
        .collect();
    files.sort();
    files
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run: make test-deps"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
