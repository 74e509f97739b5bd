//! Services that stand in included files.

use std::fs;

use super::Setup;

const MAIN: &str = "\
include: [teams]
credentials:
  shared: { type: bearer, token: { file: $DIR/shared } }
services:
  main: { upstream: $UPSTREAM, auth: { type: bearer, token: { file: $DIR/token } } }
";

const SALES: &str = "\
# Of sales.
services:
  crm: { upstream: $UPSTREAM, auth: { type: bearer, token: { file: $DIR/token } } }   # ours
  mail: { upstream: $UPSTREAM, auth: { use: shared } }
";

async fn setup() -> Setup {
    let setup = Setup::new(MAIN, &["CANARY-1", "CANARY-2"]).await;
    fs::write(setup.at("token"), "CANARY-1").unwrap();
    fs::write(setup.at("shared"), "CANARY-1").unwrap();
    fs::create_dir(setup.at("teams")).unwrap();
    write(&setup, "sales.yaml", SALES);
    setup
}

fn write(setup: &Setup, name: &str, text: &str) {
    let text = text.replace("$UPSTREAM", &setup.upstream.url());
    let text = text.replace("$DIR", setup.dir.path().to_str().unwrap());
    fs::write(setup.at("teams").join(name), text).unwrap();
}

fn sales(setup: &Setup) -> String {
    fs::read_to_string(setup.at("teams/sales.yaml")).unwrap()
}

#[tokio::test]
async fn service_is_changed_in_the_file_in_which_it_stands() {
    let setup = setup().await;
    let (main, before) = (setup.text(), sales(&setup));
    let (code, printed) = setup.run(&["edit", "crm", "--yes", "--set", "via=true"], "").await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("written: ") && printed.contains("teams/sales.yaml"), "{printed}");
    let after = before.replace(" } } }   # ours", " } }, via: true }   # ours");
    assert_eq!((setup.text(), sales(&setup)), (main.clone(), after));
    let (code, printed) = setup.run(&["edit", "crm", "--yes", "--unset", "via"], "").await;
    assert_eq!((code, sales(&setup)), (0, before.clone()), "{printed}");
    let (code, printed) = setup.run(&["disable", "crm", "--yes"], "").await;
    assert!(code == 0 && sales(&setup).contains("enabled: false }   # ours"), "{printed}");
    let (code, printed) = setup.run(&["enable", "crm", "--yes"], "").await;
    assert_eq!((code, sales(&setup)), (0, before.clone()), "{printed}");
    let (code, printed) = setup.run(&["remove", "crm", "--yes"], "").await;
    assert!(code == 0 && !sales(&setup).contains("crm"), "{printed}");
    let (code, printed) = setup.run(&["remove", "nobody", "--yes"], "").await;
    assert_eq!(code, 64);
    assert!(printed.contains("nor the file that it includes has a service `nobody`"), "{printed}");
    assert_eq!(setup.text(), main);
}

#[tokio::test]
async fn secret_of_a_shared_credential_is_rotated_in_the_main_file() {
    let setup = setup().await;
    let before = sales(&setup);
    let (code, printed) = setup.run(&["rotate", "mail", "--yes"], "CANARY-2\n").await;
    assert_eq!(code, 0, "{printed}");
    assert!(setup.text().contains("previous: { file: "), "{}", setup.text());
    assert_eq!(fs::read_to_string(setup.at("shared")).unwrap(), "CANARY-2");
    let (code, printed) = setup.run(&["rotate", "crm", "--yes"], "CANARY-2\n").await;
    assert_eq!(code, 0, "{printed}");
    assert!(sales(&setup).contains("previous: { file: "), "{}", sales(&setup));
    assert_ne!(sales(&setup), before);
}

#[tokio::test]
async fn add_puts_a_service_into_a_file_that_is_included_and_no_other() {
    let setup = setup().await;
    let main = setup.text();
    let upstream = format!("upstream={}", setup.upstream.url());
    let add = async |name: &str, into: &str| {
        let into = setup.at(into);
        let arguments =
            ["add", name, "--provider", "bearer", "--yes", "--set", &upstream, "--secret", "token=stdin"];
        setup.run(&[&arguments[..], &["--into", into.to_str().unwrap()]].concat(), "CANARY-1\n").await
    };
    let (code, printed) = add("new", "teams/new.yaml").await;
    assert_eq!(code, 0, "{printed}");
    assert!(fs::read_to_string(setup.at("teams/new.yaml")).unwrap().starts_with("services:\n  new:\n"));
    let (code, printed) = add("more", "teams/sales.yaml").await;
    assert!(
        code == 0 && sales(&setup).contains("# ours") && sales(&setup).contains("  more:\n"),
        "{printed}"
    );
    // A name is used once, whatever the file.
    let (code, printed) = add("main", "teams/new.yaml").await;
    assert!(code == 78 && printed.contains("the same name as `services.main`"), "{printed}");
    let (code, printed) = add("lost", "elsewhere.yaml").await;
    assert!(code == 78 && printed.contains("include: does not lead to"), "{printed}");
    fs::write(setup.at("elsewhere.yaml"), "services: {}\n").unwrap();
    let (code, printed) = add("lost", "elsewhere.yaml").await;
    assert!(code == 64 && printed.contains("does not include"), "{printed}");
    assert_eq!(setup.text(), main);
}

#[tokio::test]
async fn mistake_of_another_team_prevents_no_change_and_an_own_one_does() {
    let setup = setup().await;
    write(&setup, "broken.yaml", "services:\n  broken: { upstrem: x }\n");
    let (code, printed) = setup.run(&["edit", "crm", "--yes", "--set", "via=true"], "").await;
    assert_eq!(code, 0, "{printed}");
    let before = sales(&setup);
    let (code, printed) = setup.run(&["edit", "crm", "--yes", "--set", "viaa=true"], "").await;
    assert!(code == 78 && printed.contains("services.crm.viaa: unknown key"), "{printed}");
    assert!(!printed.contains("broken"), "it was there before: {printed}");
    assert_eq!(sales(&setup), before);
    // The service with the mistake can be mended, or taken out.
    let mended = format!("upstream={}", setup.upstream.url());
    let mend =
        ["edit", "broken", "--yes", "--unset", "upstrem", "--set", &mended, "--set", "auth={use: shared}"];
    let (code, printed) = setup.run(&mend, "").await;
    assert_eq!(code, 0, "{printed}");
}
