//! `sidekey add` with options.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use super::Setup;

const ADD: [&str; 5] = ["add", "api", "--provider", "bearer", "--yes"];

async fn add(setup: &Setup, more: &[&str], input: &str) -> (i32, String) {
    let upstream = format!("upstream={}", setup.upstream.url());
    setup.run(&[&ADD[..], &["--set", &upstream], more].concat(), input).await
}

#[tokio::test]
async fn add_writes_the_first_service_and_its_secret_to_a_private_file() {
    let setup = Setup::new("", &["t0ken-CANARY"]).await;
    let (code, printed) = add(&setup, &["--secret", "token=stdin"], "t0ken-CANARY\n").await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("answer      200") && printed.contains("written: "), "{printed}");
    let secret = setup.at("secrets/api-token");
    let expected = format!(
        "services:\n  api:\n    upstream: {}\n    auth:\n      type: bearer\n      token: {{ file: {} }}\n",
        setup.upstream.url(),
        secret.display()
    );
    assert_eq!(setup.text(), expected);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "t0ken-CANARY");
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(setup.at("secrets")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(setup.upstream.only_request().header("authorization"), Some("Bearer t0ken-CANARY"));
}

#[tokio::test]
async fn add_whose_test_fails_changes_nothing() {
    let text = "# ours\nservices:\n  old: { upstream: 'https://old.example', auth: { type: bearer, token: { env: PATH } } }\n";
    let setup = Setup::new(text, &["another"]).await;
    let (code, printed) = add(&setup, &["--secret", "token=stdin"], "t0ken-CANARY\n").await;
    assert!(code == 1 && printed.contains("401") && printed.contains("`--no-test`"), "{printed}");
    assert_eq!(setup.text(), text);
    assert!(!setup.at("secrets").exists());
    let (code, printed) = add(&setup, &["--secret", "token=stdin", "--no-test"], "t0ken-CANARY\n").await;
    assert_eq!(code, 0, "{printed}");
    assert!(setup.text().starts_with(text) && setup.text().contains("  api:\n"), "{}", setup.text());
}

#[tokio::test]
async fn add_refuses_what_is_wrong_and_names_it() {
    let setup = Setup::new("services: {}\n", &[]).await;
    for (more, wrong, expected) in [
        (&["--secret", "token=CANARY-in-an-argument"][..], 64, "a secret itself is never an argument"),
        (&["--secret", "tokne=stdin"], 64, "`bearer` has the secrets: token"),
        (
            &["--set", "upstrem=x", "--secret", "token=stdin"],
            64,
            "`bearer` does not ask for `upstrem`; it asks for: upstream, token",
        ),
        (&["--set", "upstream=http://far.example", "--secret", "token=stdin"], 78, "allow_plaintext"),
        (
            &["--secret", "token=file:/does/not/exist"],
            78,
            "services.yaml:6: services.api.auth.token: cannot read the file /does/not/exist",
        ),
        (&[], 64, "`--secret token=SOURCE` is required"),
    ] {
        let (code, printed) = add(&setup, more, "CANARY\n").await;
        assert!(code == wrong && printed.contains(expected), "{more:?}: {printed}");
        assert_eq!(setup.text(), "services: {}\n");
        assert!(!setup.at("secrets").exists());
    }
    let (code, printed) = setup.run(&["add", "api", "--provider", "nobody"], "").await;
    assert!(
        code == 64 && printed.contains("no provider `nobody`; `sidekey add --list` prints them"),
        "{printed}"
    );
    let (code, printed) = setup.run(&["add", "-p", "github-app", "--set", "app_id=1"], "").await;
    assert!(
        code == 64 && printed.contains("`--set owner=…`, `--secret private_key=SOURCE` are required"),
        "{printed}"
    );
    let (code, printed) = setup.run(&["add", "--list"], "").await;
    assert!(code == 2 || code == 64, "--list stands alone: {printed}");
}

#[tokio::test]
async fn add_needs_yes_without_a_terminal_and_dry_run_leaves_nothing() {
    let setup = Setup::new("services: {}\n", &["CANARY"]).await;
    let upstream = format!("upstream={}", setup.upstream.url());
    let add = ["add", "api", "-p", "bearer", "--set", &upstream, "--secret", "token=stdin"];
    let (code, printed) = setup.run(&add, "CANARY\n").await;
    assert!(code == 64 && printed.contains("`--yes` writes it"), "{printed}");
    let (code, printed) = setup.run(&[&add[..], &["--dry-run"]].concat(), "CANARY\n").await;
    assert!(code == 0 && printed.contains("    2 +   api:\n"), "{printed}");
    assert_eq!(setup.text(), "services: {}\n");
    assert!(!setup.at("secrets").exists());
    assert_eq!(setup.upstream.request_count(), 0);
}

#[tokio::test]
async fn add_keeps_mode_and_link_of_the_services_file() {
    let setup = Setup::new("", &["CANARY"]).await;
    fs::write(setup.at("real.yaml"), "services: {}\n").unwrap();
    fs::set_permissions(setup.at("real.yaml"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    symlink("real.yaml", setup.file()).unwrap();
    let (code, printed) = add(&setup, &["--secret", "token=stdin"], "CANARY\n").await;
    assert_eq!(code, 0, "{printed}");
    assert!(setup.file().symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::metadata(setup.at("real.yaml")).unwrap().mode() & 0o777, 0o640);
    assert!(setup.text().contains("  api:\n"));
}
