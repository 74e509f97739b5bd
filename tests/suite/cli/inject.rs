//! `sidekey inject`: input, output, report and exit codes. What is added is tested beside the code, and over manifests of other
//! projects in `deploy/inject_corpus.rs`.

use std::fs;

use crate::harness::Sidekey;

const POD: &str = "# An app.\napiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\nspec:\n  containers:\n  - name: shop\n    image: s\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n";

/// Injects a text by standard input; returns the exit code, the output and the report.
async fn inject(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let all = [&["inject", "-"], arguments].concat();
    let output = Sidekey::command_with_input(&all, input.as_bytes()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn inject_writes_to_standard_output_and_reports() {
    let host = POD.replace("spec:\n", "spec:\n  hostNetwork: true\n").replace("shop", "host");
    let input = format!("{POD}---\n{SERVICE}---\n{host}");
    let (code, output, report) = inject(&[], &input).await;
    assert_eq!(code, Some(0));
    assert!(
        output.starts_with("# An app.\n") && output.contains("      restartPolicy: Always\n"),
        "{output}"
    );
    assert!(output.ends_with(&format!("---\n{SERVICE}---\n{host}")), "{output}");
    assert_eq!(
        report,
        "standard input: pod/shop: injected\n\
         standard input: service/shop: not injected: its kind has no Pod\n\
         standard input: pod/host: not injected: it has the network of its node (`hostNetwork`), where others could use the \
         credentials\n\
         1 injected, 2 not\n"
    );
    let (code, again, report) = inject(&[], &output).await;
    assert_eq!((code, again.as_str()), (Some(0), output.as_str()));
    assert!(report.contains("pod/shop: unchanged: it is injected already\n"), "{report}");
    let (code, restored, report) = inject(&["--uninject"], &output).await;
    assert_eq!((code, restored), (Some(0), input));
    assert!(report.contains("pod/shop: restored\n") && report.ends_with("1 restored, 2 not\n"), "{report}");
}

#[tokio::test]
async fn inject_changes_files_of_a_folder_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("sub")).unwrap();
    fs::create_dir(path(".hidden")).unwrap();
    for name in ["b.yaml", "sub/a.yml", ".hidden/c.yaml", "d.txt"] {
        fs::write(path(name), POD).unwrap();
    }
    fs::write(path("s.json"), r#"{"apiVersion": "v1", "kind": "Service"}"#).unwrap();
    let root = folder.path().to_str().unwrap();

    let both = Sidekey::command(&["inject", root], &[]).await;
    assert_eq!(
        String::from_utf8(both.stdout).unwrap().matches("- name: sidekey\n").count(),
        2,
        "as one stream"
    );
    assert_eq!(fs::read_to_string(path("b.yaml")).unwrap(), POD);

    let check = async || Sidekey::command(&["inject", "--check", root], &[]).await.status.code();
    assert_eq!(check().await, Some(1));
    let output = Sidekey::command(&["inject", "-i", root], &[]).await;
    assert!(output.status.success() && output.stdout.is_empty());
    for name in ["b.yaml", "sub/a.yml"] {
        assert!(fs::read_to_string(path(name)).unwrap().contains("- name: sidekey\n"), "{name}");
    }
    for name in [".hidden/c.yaml", "d.txt"] {
        assert_eq!(fs::read_to_string(path(name)).unwrap(), POD, "{name}");
    }
    assert_eq!(check().await, Some(0));
    assert!(Sidekey::command(&["inject", "-i", "--uninject", root], &[]).await.status.success());
    assert_eq!(fs::read_to_string(path("b.yaml")).unwrap(), POD);
}

#[tokio::test]
async fn inject_with_a_mistake_writes_nothing() {
    for (input, error) in [
        (format!("{POD}---\na: [\n"), "standard input: line 12: not valid YAML"),
        (
            POD.replace(
                "  name: shop\nspec",
                "  name: shop\n  annotations: {sidekey.io/cpu-limit: lots}\nspec",
            ),
            "standard input: line 2: pod/shop: annotation `sidekey.io/cpu-limit`: not a quantity",
        ),
    ] {
        let (code, output, report) = inject(&[], &input).await;
        assert_eq!((code, output.as_str()), (Some(1), ""));
        assert!(report.starts_with(error) && report.ends_with("nothing was written\n"), "{report}");
    }
    let output = Sidekey::command(&["inject", "/nonexistent.yaml"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    for usage in [
        &["--port", "0"][..],
        &["--in-place"],
        &["--port", "9090"],
        &["--cpu-limit", "1m"],
        &["--image", "a b"],
    ] {
        assert_eq!(inject(usage, POD).await.0, Some(64), "{usage:?}");
    }
}

#[tokio::test]
async fn inject_sets_what_its_flags_say() {
    let flags = [
        "--image",
        "r.example/sidekey:2",
        "--image-pull-policy",
        "Always",
        "--config-map",
        "conf",
        "--secrets",
        "a,b",
        "--cpu-limit",
        "1",
        "--memory-limit",
        "1Gi",
        "--cpu-request",
        "10m",
        "--memory-request",
        "16Mi",
        "--proxy-env",
        "--cluster-networks",
        "10.9.0.0/16",
        "--log-level",
        "debug",
        "--wait-before-exit",
        "7s",
        "--port",
        "81",
        "--admin-port",
        "91",
        "--run-as-user",
        "any",
        "--native-sidecar",
        "false",
    ];
    let (code, output, _) = inject(&flags, POD).await;
    assert_eq!(code, Some(0));
    for part in [
        "image: r.example/sidekey:2",
        "imagePullPolicy: Always",
        "name: conf",
        "name: a\n",
        "cpu: \"1\"",
        "memory: 1Gi",
        "cpu: 10m",
        "memory: 16Mi",
        ".cluster.local,10.9.0.0/16",
        "value: debug",
        "value: 7000ms",
        "http://127.0.0.1:81",
        "containerPort: 91",
        "127.0.0.1:91",
        "SIDEKEY_WAIT_BEFORE_EXIT",
    ] {
        assert!(output.contains(part), "{part} is not in {output}");
    }
    assert!(!output.contains("runAsUser") && !output.contains("restartPolicy: Always"), "{output}");
    let (_, output, _) = inject(&["--no-secrets"], POD).await;
    assert!(!output.contains("sidekey-secrets"), "{output}");
}

#[tokio::test]
async fn names_of_a_manifest_are_one_visible_line_of_the_report() {
    let hostile = POD.replace("  name: shop\n", "  name: \"a\\nb: injected\\e[2J\\u202e\"\n");
    let (code, _, report) = inject(&[], &hostile).await;
    assert_eq!(
        (code, report.as_str()),
        (Some(0), "standard input: pod/a?b: injected?[2J?: injected\n1 injected, 0 not\n")
    );
    let annotated = hostile.replace("spec:", "  annotations: { \"sidekey.io/\\e[31m\": x }\nspec:");
    let (code, _, report) = inject(&[], &annotated).await;
    assert_eq!(code, Some(1));
    assert_eq!(report.lines().count(), 2, "{report}");
    assert!(!report.chars().any(|c| c.is_control() && c != '\n'), "{report:?}");
}
