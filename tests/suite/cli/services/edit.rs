//! `sidekey edit`, `remove`, `enable` and `disable`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Setup;
use crate::harness::Sidekey;

const FILE: &str = "\
# Ours.
services:
  # The first.
  api:
    upstream: $UPSTREAM   # of team A
    auth: { type: bearer, token: { file: $DIR/token } }

  other:
    upstream: https://other.example
    auth: { type: bearer, token: { file: $DIR/other } }   # kept
";

async fn setup() -> Setup {
    let setup = Setup::new(FILE, &["CANARY-1"]).await;
    fs::write(setup.at("token"), "CANARY-1").unwrap();
    fs::write(setup.at("other"), "CANARY-2").unwrap();
    setup
}

#[tokio::test]
async fn edit_changes_keys_by_options_and_keeps_comments() {
    let setup = setup().await;
    let before = setup.text();
    let edit =
        ["edit", "api", "--yes", "--set", "timeouts.total=2m", "--set", "allow=[read_only, 'POST /v1/*']"];
    let (code, printed) = setup.run(&edit, "").await;
    assert_eq!(code, 0, "{printed}");
    let token = format!("token: {{ file: {} }} }}\n", setup.at("token").display());
    let more = "    timeouts: { total: 2m }\n    allow: [read_only, POST /v1/*]\n";
    let expected = before.replace(&token, &format!("{token}{more}"));
    assert_eq!(setup.text().replace("\"POST /v1/*\"", "POST /v1/*"), expected);
    let (code, printed) =
        setup.run(&["edit", "api", "--yes", "--unset", "timeouts.total", "--unset", "allow"], "").await;
    assert_eq!((code, setup.text()), (0, before), "{printed}");
}

#[tokio::test]
async fn edit_takes_a_secret_from_standard_input_and_never_from_an_argument() {
    let setup = setup().await;
    let before = setup.text();
    let (code, printed) = setup.run(&["edit", "api", "--yes", "--set", "auth.token=CANARY-9"], "").await;
    assert!(code == 64 && printed.contains("a secret is no argument"), "{printed}");
    assert_eq!(setup.text(), before);
    let (code, printed) =
        setup.run(&["edit", "api", "--yes", "--secret", "auth.token=stdin"], "CANARY-1\n").await;
    assert_eq!(code, 0, "{printed}");
    let new = setup.at("secrets/api-token");
    assert_eq!(
        setup.text(),
        before.replace(&setup.at("token").display().to_string(), &new.display().to_string())
    );
    assert_eq!(fs::read_to_string(new).unwrap(), "CANARY-1");
}

#[tokio::test]
async fn edit_names_a_secret_of_a_store() {
    let store = "secret_stores:\n  vault: { type: vault, url: 'https://vault.example:8200', login: { method: token, token: { file: $DIR/token } } }\n";
    let setup = Setup::new(&format!("{store}{FILE}"), &[]).await;
    fs::write(setup.at("token"), "CANARY-1").unwrap();
    fs::write(setup.at("other"), "CANARY-2").unwrap();
    let before = setup.text();
    let edit = ["edit", "api", "--yes", "--without-secrets", "--secret"];
    let (code, printed) = setup.run(&[&edit[..], &["auth.token=vault:secret/crm#token"]].concat(), "").await;
    assert_eq!(code, 0, "{printed}");
    let file = format!("type: bearer, token: {{ file: {} }}", setup.at("token").display());
    let stored = "type: bearer, token: { vault: { path: secret/crm, field: token } }";
    assert_eq!(setup.text(), before.replace(&file, stored));
    for (source, wrong, expected) in [
        ("vault/none:secret/crm#token", 78, "no store has this name"),
        ("aws_secrets_manager:prod/crm", 78, "secret_stores"),
        ("vault:CANARY-without-a-field", 64, "a secret itself is never an argument"),
    ] {
        let secret = format!("auth.token={source}");
        let (code, printed) = setup.run(&[&edit[..], &[secret.as_str()]].concat(), "").await;
        assert!(code == wrong && printed.contains(expected), "{source}: {printed}");
    }
}

#[tokio::test]
async fn edit_that_makes_the_file_wrong_changes_nothing() {
    let setup = setup().await;
    let before = setup.text();
    for (set, wrong, expected) in [
        ("upstrem=https://x.example", 78, "services.yaml:7: services.api.upstrem: unknown key"),
        ("upstream=ftp://x.example", 78, "services.yaml:5: services.api.upstream"),
        ("upstream=[", 64, "the value of `upstream` is not valid YAML"),
        ("upstream.x=1", 64, "change it by hand"),
    ] {
        let (code, printed) = setup.run(&["edit", "api", "--yes", "--set", set], "").await;
        assert!(code == wrong && printed.contains(expected), "{set}: {printed}");
        assert_eq!(setup.text(), before);
    }
    let (code, printed) = setup.run(&["edit", "nope", "--yes", "--set", "via=true"], "").await;
    assert!(code == 64 && printed.contains("it has no service `nope`"), "{printed}");
    let (code, printed) = setup.run(&["edit", "api", "--yes"], "").await;
    assert!(code == 64 && printed.contains("no terminal for an editor"), "{printed}");
}

#[tokio::test]
async fn edit_in_an_editor_replaces_the_lines_of_the_service() {
    let setup = setup().await;
    let before = setup.text();
    let editor = setup.at("editor.sh");
    fs::write(
        &editor,
        "#!/bin/sh\ncp \"$2\" \"$1.seen\"\nsed -i 's/# of team A/# of team B/; $a\\    via: true' \"$2\"\n",
    )
    .unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let visual = format!("{} {}", editor.display(), setup.at("file").display());
    let file = setup.file();
    let mut terminal = Sidekey::at_terminal(
        &["edit", "api", "-c", file.to_str().unwrap(), "--no-test"],
        &[("VISUAL", &visual), ("NO_COLOR", "1")],
    );
    terminal.expect("Write it?").await;
    terminal.type_keys("y\r").await;
    assert!(terminal.ended().await.success());
    let seen = fs::read_to_string(setup.at("file.seen")).unwrap();
    assert!(seen.starts_with("  # The first.\n  api:\n") && !seen.contains("other"), "{seen}");
    let token = format!("{} }} }}\n", setup.at("token").display());
    let expected = before.replace("team A", "team B").replace(&token, &format!("{token}    via: true\n"));
    assert_eq!(setup.text(), expected);
}

#[tokio::test]
async fn removed_service_is_gone_and_its_secret_file_is_named() {
    let setup = setup().await;
    let (code, printed) = setup.run(&["remove", "api", "--yes"], "").await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains(&format!("still there: {}", setup.at("token").display())), "{printed}");
    assert!(!printed.contains(&format!("there: {}", setup.at("other").display())), "{printed}");
    let expected = format!(
        "# Ours.\nservices:\n  other:\n    upstream: https://other.example\n    auth: {{ type: bearer, token: {{ file: {} }} }}   # kept\n",
        setup.at("other").display()
    );
    assert_eq!(setup.text(), expected);
    let (code, printed) = setup.run(&["remove", "other", "--yes"], "").await;
    assert!(code == 78 && printed.contains("at least one service is required"), "{printed}");
}

#[tokio::test]
async fn disabled_service_keeps_its_settings_and_enable_undoes_it() {
    let setup = setup().await;
    let before = setup.text();
    let (code, printed) = setup.run(&["disable", "api", "--yes"], "").await;
    assert_eq!(code, 0, "{printed}");
    let disabled = setup.text();
    assert!(disabled.contains("    enabled: false\n") && disabled.contains("# of team A"), "{disabled}");
    let (code, printed) = setup.run(&["test", "api"], "").await;
    assert!(code == 78 && printed.contains("`api` is disabled"), "{code}: {printed}");
    let (code, printed) = setup.run(&["enable", "api", "--yes"], "").await;
    assert_eq!((code, setup.text()), (0, before), "{printed}");
    let (code, printed) = setup.run(&["disable", "nope", "--yes"], "").await;
    assert!(code == 64 && printed.contains("it has no service `nope`"), "{printed}");
}
