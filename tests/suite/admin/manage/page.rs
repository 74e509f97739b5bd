//! The status page in a real browser, as a person uses it who has not read the documentation.

use std::fs;

use serde_json::json;

use super::setup::Setup;
use crate::harness::{Browser, MockUpstream, Request, Sidekey};
use crate::suite::admin::setup::TOKEN;
use crate::suite::presets::fake::Fake;

/// The status of a request as a library sends it.
async fn called(sidekey: &Sidekey, path: &str) -> u16 {
    Request::get(sidekey.url(path)).header("User-Agent", "library/1.0").send().await.status
}

/// What the page says about a check or a change.
const OUTCOME: &str = "document.querySelector('#service-outcome').innerText";

async fn opened(sidekey: &Sidekey) -> Browser {
    let mut browser = Browser::start();
    assert_eq!(browser.open(&sidekey.admin_url("/"), 1280, false).await["status"], 200);
    browser.wait("document.querySelectorAll('#services > li').length > 0").await;
    browser
}

async fn says(browser: &mut Browser, js: &str, text: &str) {
    browser.wait(&format!("{js}.includes({})", json!(text))).await;
}

/// Types the admin token, which the page asks for once.
async fn unlock(browser: &mut Browser) {
    browser.wait("document.querySelector('#token-dialog').open").await;
    browser.fill("#token", TOKEN).await;
    browser.click("role=button[name='Use it']").await;
}

/// Opens "Add service", and chooses a provider by typing.
async fn choose(browser: &mut Browser, search: &str, id: &str) {
    browser.click("role=button[name='Add service']").await;
    browser.wait("document.querySelectorAll('#provider option').length > 30").await;
    browser.fill("#provider-search", search).await;
    if browser.eval("document.querySelector('#provider').value").await != id {
        browser.select("#provider", id).await;
    }
    browser.wait(&format!("document.querySelector('[data-field=name]').value === {}", json!(id))).await;
}

async fn checked(browser: &mut Browser, expected: &str) {
    browser.click("role=button[name='Check']").await;
    says(browser, OUTCOME, expected).await;
}

/// The added service is on the page, and the dialog is gone with what was typed.
async fn written(browser: &mut Browser, name: &str, button: &str) {
    browser.click(&format!("role=button[name='{button}'][disabled=false]")).await;
    browser.wait("!document.querySelector('#service-dialog').open").await;
    says(browser, "document.querySelector('#reloaded').innerText", "The service runs.").await;
    browser.wait(&format!("document.querySelector('#service-{name}') !== null")).await;
    let typed = "[...document.querySelectorAll('#service-dialog input, #service-dialog textarea')].map(e => e.value).join('')";
    assert_eq!(browser.eval(typed).await, json!(""));
}

#[tokio::test]
async fn status_page_adds_github_datadog_and_entra() {
    let fake = Fake::start().await;
    let [(_, proxy), (_, tls)] = fake.way();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN}, manage: services.d }}\ninclude: services.d\n\
         defaults: {{ proxy: {proxy}, tls: {tls} }}\nlog: {{ level: debug, format: json }}\n\
         services: {{ first: {{ upstream: 'https://first.example', auth: {{ type: bearer, token: t }} }} }}\n"
    );
    let builder = Sidekey::configured(&config);
    fs::create_dir(builder.dir().join("services.d")).unwrap();
    let sidekey = builder.start().await;
    let mut browser = opened(&sidekey).await;

    choose(&mut browser, "github", "github").await;
    assert_eq!(browser.eval("document.querySelector('[data-field=token]').type").await, json!("password"));
    assert_eq!(browser.eval("document.querySelector('[data-field=token]').autocomplete").await, json!("off"));
    // Nothing is filled in yet: the mistake stands at its field.
    browser.click("role=button[name='Check']").await;
    unlock(&mut browser).await;
    let error = "document.querySelector('[data-field=token]').closest('fieldset').querySelector('.form-error').innerText";
    says(&mut browser, error, "is required").await;
    // A wrong token: nothing can be added, and the page says why.
    browser.fill("[data-field=token]", "github_pat_wrong-CANARY").await;
    checked(&mut browser, "The test failed").await;
    says(&mut browser, OUTCOME, "rejects this credential").await;
    assert_eq!(browser.eval("document.querySelector('#write').hidden").await, json!(true));
    browser.fill("[data-field=token]", "github_pat_sample").await;
    checked(&mut browser, "The test succeeded").await;
    let diff = browser.text("#service-diff").await;
    assert!(diff.contains("+   github:") && diff.contains("github-token"), "{diff}");
    assert!(!sidekey.dir().join("services.d/github.yaml").exists(), "a check writes nothing");
    written(&mut browser, "github", "Add").await;
    assert_eq!(called(&sidekey, "/github/user").await, 200);

    choose(&mut browser, "datadog", "datadog").await;
    browser.fill("[data-field=site]", "datadoghq.eu").await;
    browser.fill("[data-field=api_key]", "datadog-api-sample").await;
    browser.fill("[data-field=application_key]", "datadog-app-sample").await;
    checked(&mut browser, "The test succeeded").await;
    written(&mut browser, "datadog", "Add").await;
    assert_eq!(called(&sidekey, "/datadog/api/v2/validate_keys").await, 200);

    // The identity provider is behind a forward proxy here: the lines get what the form does not ask for.
    choose(&mut browser, "entra id graph", "entra").await;
    browser.fill("[data-field=tenant]", "66666666-7777-8888-9999-000000000000").await;
    browser.fill("[data-field=client_id]", "aaaaaaaa-0000-0000-0000-000000000002").await;
    browser.fill("[data-field=client_secret]", "sample~secret-2").await;
    browser.click("#do-test").await;
    checked(&mut browser, "This can be written to").await;
    browser.click("#lines-details summary").await;
    let lines = browser.eval("document.querySelector('#lines').value").await;
    let way = format!("    auth:\n      proxy: {proxy}\n      tls: {tls}\n");
    let lines = lines.as_str().unwrap().replace("    auth:\n", &way);
    browser.fill("#lines", &lines).await;
    browser.click("#do-test").await;
    checked(&mut browser, "The test succeeded").await;
    written(&mut browser, "entra", "Add").await;
    assert_eq!(called(&sidekey, "/entra/v1.0/organization").await, 200);

    let broken = fake.take_broken();
    assert!(broken.iter().all(|why| why.contains("github")), "only the wrong token of GitHub: {broken:?}");
    assert!(!sidekey.log().contains("CANARY") && !sidekey.log().contains("sample~secret-2"));
    // Chromium guesses that a form with two passwords is several forms.
    let is_fault = |message: &String| !message.starts_with("console verbose: [DOM] Multiple forms");
    let messages: Vec<_> = browser.messages().await.into_iter().filter(is_fault).collect();
    assert_eq!(messages, [""; 0]);
}

/// Everything by the keyboard alone.
#[tokio::test]
async fn status_page_adds_a_service_by_keyboard() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    let mut browser = opened(&setup.sidekey).await;
    browser.eval("document.querySelector('#add').focus()").await;
    browser.press("Enter").await;
    browser.wait("document.activeElement.id === 'provider-search'").await;
    browser.wait("document.querySelectorAll('#provider option').length > 30").await;
    browser.type_text("bearer token").await;
    browser.press("Enter").await;
    browser.wait("document.activeElement.dataset.field === 'name'").await;
    browser.press("Tab").await;
    browser.type_text(&setup.upstream.url()).await;
    browser.press("Tab").await;
    browser.press("Tab").await;
    browser.wait("document.activeElement.dataset.field === 'token'").await;
    browser.type_text("CANARY-a").await;
    browser.press("Enter").await;
    unlock(&mut browser).await;
    says(&mut browser, OUTCOME, "The test succeeded").await;
    browser.wait("document.activeElement.id === 'write'").await;
    let tree = browser.tree().await;
    for part in [
        "dialog \"Add a service\"",
        "textbox \"Name of the service\"",
        "group \"Token, without `Bearer`\"",
        "button \"Add\"",
    ] {
        assert!(tree.contains(part), "{part} in\n{tree}");
    }
    browser.press("Enter").await;
    browser.wait("document.activeElement.id === 'service-bearer'").await;
    assert_eq!(setup.sidekey.get("/bearer/x").await.status, 200);
    // Escape closes without a trace.
    browser.click("role=button[name='Add service']").await;
    browser.press("Escape").await;
    browser.wait("!document.querySelector('#service-dialog').open").await;
    setup.assert_nothing_leaked().await;
    assert_eq!(browser.messages().await, [""; 0]);
}

#[tokio::test]
async fn status_page_edits_switches_and_removes_a_service() {
    let setup = Setup::new("", &["CANARY-a", "CANARY-b"]).await;
    setup.add("api", "CANARY-a").await;
    let mut browser = opened(&setup.sidekey).await;
    let open = async |browser: &mut Browser, name: &str| {
        browser.click(&format!("role=button[name='Edit {name}']")).await;
        if browser.eval("document.querySelector('#token-dialog').open").await == json!(true) {
            unlock(browser).await;
        }
        browser.wait("document.querySelector('#service-dialog').open").await;
    };
    open(&mut browser, "api").await;
    // Another secret, which the upstream does not know, and then one that it knows.
    browser.select("[data-source='auth.token']", "value").await;
    browser.fill("[data-field='auth.token']", "CANARY-wrong").await;
    checked(&mut browser, "The test failed").await;
    browser.fill("[data-field='auth.token']", "CANARY-b").await;
    checked(&mut browser, "The test succeeded").await;
    written(&mut browser, "api", "Save").await;
    assert_eq!(setup.sidekey.get("/api/x").await.status, 200);
    assert_eq!(setup.upstream.last_request().header("authorization"), Some("Bearer CANARY-b"));
    // A mistake in the lines stands beside them.
    open(&mut browser, "api").await;
    let lines = browser.eval("document.querySelector('#lines').value").await;
    let lines = lines.as_str().unwrap();
    browser.fill("#lines", &format!("{lines}    labels: [\n")).await;
    browser.click("role=button[name='Check']").await;
    says(&mut browser, "document.querySelector('#lines-error').innerText", "not valid YAML").await;
    browser.fill("#lines", &format!("{lines}    upstram: x\n")).await;
    checked(&mut browser, "unknown key").await;
    browser.fill("#lines", &format!("{lines}    labels: {{ team: red }}\n")).await;
    checked(&mut browser, "The test succeeded").await;
    written(&mut browser, "api", "Save").await;
    says(&mut browser, "document.querySelector(\"[aria-labelledby='service-api']\").innerText", "red").await;

    for (first, second, said) in [
        ("Disable…", "Disable api", "The service is switched off."),
        ("Enable…", "Enable api", "The service runs."),
        ("Remove…", "Remove api", "The service is gone."),
    ] {
        open(&mut browser, "api").await;
        browser.click(&format!("role=button[name='{first}']")).await;
        browser.wait("!document.querySelector('#write').hidden").await;
        browser.click(&format!("role=button[name='{second}']")).await;
        says(&mut browser, "document.querySelector('#reloaded').innerText", said).await;
    }
    browser.wait("document.querySelector('#service-api') === null").await;
    assert_eq!(setup.names(), ["secrets"]);
    // A service of the main file: the change to commit.
    open(&mut browser, "main").await;
    says(
        &mut browser,
        "document.querySelector('#service-about').innerText",
        "which this page does not write",
    )
    .await;
    let lines = browser.eval("document.querySelector('#lines').value").await;
    let lines = lines.as_str().unwrap();
    assert!(lines.contains("in plain text; it is not shown"), "{lines}");
    browser.fill("#lines", &format!("{lines}    labels: {{ team: blue }}\n")).await;
    checked(&mut browser, "Commit this change of").await;
    assert_eq!(browser.eval("document.querySelector('#write').hidden").await, json!(true));
    let html = browser.eval("document.documentElement.outerHTML").await.to_string();
    assert!(!html.contains("CANARY"), "{html}");
    setup.assert_nothing_leaked().await;
    assert_eq!(browser.messages().await, [""; 0]);
}

#[tokio::test]
async fn status_page_without_a_managed_folder_shows_lines_to_commit() {
    let setup = Setup::with("", "", &[], |_| ()).await;
    let mut browser = opened(&setup.sidekey).await;
    choose(&mut browser, "github", "github").await;
    says(&mut browser, "document.querySelector('#service-about').innerText", "manage: services.d").await;
    browser.fill("[data-field='token-file']", "/run/secrets/github").await;
    browser.click("role=button[name='Check']").await;
    unlock(&mut browser).await;
    says(&mut browser, OUTCOME, "Commit this change of").await;
    let fragment = browser.eval("document.querySelector('#fragment').value").await;
    let expected = "services:\n  github:\n    upstream: https://api.github.com\n    auth:\n      type: bearer\n      \
                    token: { file: /run/secrets/github }\n";
    assert_eq!(fragment, json!(expected));
    browser.click("role=button[name='Copy']").await;
    browser.wait("document.querySelector('#copied').innerText !== ''").await;
    assert_eq!(browser.eval("document.querySelector('#write').hidden").await, json!(true));
    assert_eq!(setup.names(), [""; 0]);
    assert_eq!(browser.messages().await, [""; 0]);
}

/// Without an admin token nothing can be changed. The page says what the configuration needs.
#[tokio::test]
async fn status_page_without_a_token_says_what_adding_needs() {
    let upstream = MockUpstream::plain().await;
    let service = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    let sidekey = Sidekey::serving(&service).start_ready().await;
    let mut browser = opened(&sidekey).await;
    choose(&mut browser, "github", "github").await;
    says(
        &mut browser,
        "document.querySelector('#service-about').innerText",
        "`sidekey add`".trim_matches('`'),
    )
    .await;
    assert_eq!(browser.eval("document.querySelector('#check').hidden").await, json!(true));
    assert_eq!(browser.messages().await, [""; 0]);
}

/// At each width: nothing is cut off.
#[tokio::test]
async fn status_page_form_fits_each_width() {
    let setup = Setup::new("", &[]).await;
    for (width, dark) in [(1280, false), (390, true)] {
        let mut browser = Browser::start();
        browser.open(&setup.sidekey.admin_url("/"), width, dark).await;
        choose(&mut browser, "datadog", "datadog").await;
        if let Some(folder) = std::env::var_os("SIDEKEY_PICTURES") {
            browser.screenshot(&std::path::Path::new(&folder).join(format!("add-service-{width}.png"))).await;
        }
        let faults = "[...document.querySelectorAll('#service-dialog *')].filter(e => e.checkVisibility() && \
                      e.getBoundingClientRect().right > document.querySelector('#service-dialog').getBoundingClientRect().right + .5)\
                      .map(e => `${e.tagName}#${e.id}.${e.className}`)";
        assert_eq!(browser.eval(faults).await, json!([]), "{width}");
        assert_eq!(browser.eval("document.documentElement.scrollWidth").await, json!(width));
    }
}
