//! The status page in a real browser.

use serde_json::json;

use super::setup::{Fleet, TOKEN};
use crate::harness::{
    Browser, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey,
};
use crate::suite::oauth2::setup::service;

/// JavaScript: names of the services in the order in which the page shows them.
const ORDER: &str = "[...document.querySelectorAll('#services h3')].map(h => h.innerText)";
const LOADED: &str = "document.querySelectorAll('#services > li').length > 0";

async fn opened(sidekey: &Sidekey, width: u32, dark: bool) -> Browser {
    let mut browser = Browser::start();
    let answer = browser.open(&sidekey.admin_url("/"), width, dark).await;
    assert_eq!(answer["status"], 200);
    browser.wait(LOADED).await;
    browser
}

fn card(name: &str) -> String {
    format!("[aria-labelledby='service-{name}']")
}

#[tokio::test]
async fn status_page_shows_cause_and_advice_of_each_service() {
    let fleet = Fleet::start().await;
    let mut browser = opened(&fleet.sidekey, 1200, false).await;
    browser.wait("document.querySelector('#headline').innerText === '5 of 10 services are broken'").await;
    let order: Vec<String> = serde_json::from_value(browser.eval(ORDER).await).unwrap();
    assert_eq!(order[..5], ["maps", "billing", "calendar", "payments", "reports"], "broken ones first");
    let detail = browser.text("#detail").await;
    let expected = "Broken: maps (unauthorized (401)), billing (unreachable), calendar (expired), payments (refused), \
                    reports (no token).";
    assert!(detail.starts_with(expected), "{detail}");
    for (name, expected) in [
        ("payments", ["Refused", "invalid_client", "client_secret", "oauth2"]),
        ("billing", ["Unreachable", "Connection refused", "does a firewall reject them", "bearer"]),
        ("maps", ["Unauthorized (401)", "rejects the credential", "Runbook", "/tiles"]),
        ("calendar", ["Expired", "answered 500", "Requests get 503", "Failures in a row"]),
        ("reports", ["No token", "answered 503", "identity provider", "Failing since"]),
        ("crm", ["Ready", "Token expires", "Last refresh", "Next refresh"]),
        ("mail", ["Ready", "Static credential", "Requests", "Latency"]),
        ("archive", ["Ready", "optional", "in 23 h", "Errors"]),
    ] {
        let text = browser.text(&card(name)).await;
        for part in expected {
            assert!(text.contains(part), "{name} says {part:?}:\n{text}");
        }
    }
    assert!(!browser.text(&card("crm")).await.contains("What to do"), "nothing to do where nothing is wrong");
    // The accessibility tree, for screen readers.
    let tree = browser.tree().await;
    for part in [
        " of 10 services are broken\" [level=2]",
        "list \"Services, broken ones first\"",
        "article \"payments\"",
        "meter \"Token life left: crm\"",
        "heading \"payments\" [level=3]",
    ] {
        assert!(tree.contains(part), "{part} in\n{tree}");
    }
    let life =
        "document.querySelector(\"[aria-label='Token life left: crm']\").getAttribute('aria-valuetext')";
    let life = browser.eval(life).await;
    assert!(life.as_str().unwrap().starts_with("expires in 5"), "{life}");
    assert_eq!(fleet.sidekey.get("/crm/x").await.status, 200);
    browser.wait("document.querySelectorAll(\"[aria-labelledby='service-crm'] polyline\").length > 0").await;
    assert_eq!(browser.messages().await, [""; 0]);
}

#[tokio::test]
async fn status_page_updates_itself() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    login.always(MockTokenResponse::html(503));
    let mut sidekey = Sidekey::serving(&service("crm", &upstream, &login, "", "")).start().await;
    let mut browser = opened(&sidekey, 800, false).await;
    browser.wait("document.querySelector('#headline').innerText === 'The only service is broken'").await;
    browser.eval("document.querySelector('#services h3').marked = true").await;
    assert_eq!(browser.eval("document.title").await, json!("(1) service broken · Sidekey"));
    login.always(MockTokenResponse::issue(60));
    browser.wait("document.querySelector('#headline').innerText === 'The only service is ready'").await;
    assert_eq!(
        browser.eval("document.querySelector('#services h3').marked").await,
        json!(true),
        "the same element"
    );
    // The bar shrinks.
    let width = "parseFloat(document.querySelector('.fill').style.width)";
    let before = browser.eval(width).await.as_f64().unwrap();
    browser.wait(&format!("{width} < {before} - 1")).await;
    // A request appears in the chart.
    sidekey.get("/crm/").await;
    browser.wait("document.querySelector('.chart.requests svg').getAttribute('aria-label').startsWith('1 request ')").await;
    assert_eq!(browser.messages().await, [""; 0]);
    sidekey.terminate().await;
    browser.wait("/has not answered for/.test(document.querySelector('#live-text').innerText)").await;
}

/// Texts of the identity provider are shown as text, never as markup.
#[tokio::test]
async fn status_page_escapes_hostile_texts() {
    const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let refusal = json!({ "error": "invalid_client", "error_description": MARKUP });
    login.always(MockTokenResponse::from(
        MockResponse::status(401).header("Content-Type", "application/json").body(refusal.to_string()),
    ));
    let sidekey = Sidekey::serving(&service("crm", &upstream, &login, "", "")).start().await;
    let mut browser = opened(&sidekey, 800, false).await;
    browser.wait("document.querySelector('.what').innerText.includes('<script>alert(2)')").await;
    assert_eq!(browser.eval("document.querySelectorAll('main img, main script').length").await, json!(0));
    // Markup that gets into the page in spite of that is not executed.
    let inject = "(() => { const s = document.createElement('script'); try { s.text = 'window.ran = 1'; } catch {} \
                  document.body.append(s); try { document.body.setAttribute('onclick', 'window.ran = 1'); } catch {} \
                  document.body.click(); return window.ran ?? 0; })()";
    assert_eq!(browser.messages().await, [""; 0]);
    assert_eq!(browser.eval(inject).await, json!(0));
    assert!(!browser.messages().await.is_empty(), "the browser reports the blocked script");
}

#[tokio::test]
async fn status_page_sends_security_headers() {
    let sidekey =
        Sidekey::serving("mail: { upstream: 'http://127.0.0.1:1', auth: { type: bearer, token: t } }")
            .start()
            .await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/operations.md", "text/plain; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = Request::get(sidekey.admin_url(path)).send().await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let foreign = Request::get(sidekey.admin_url(path)).header("Host", "evil.example").send().await;
        assert_eq!(foreign.status, 403, "{path}");
    }
}

/// JavaScript: the lowest contrast between a text and its background (WCAG 2.2 §1.4.3), with that text.
const LOWEST_CONTRAST: &str = r"(() => {
    const rgba = (color) => { const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number); return { c: [r, g, b], a }; };
    const light = ({ c }) => { const [r, g, b] = c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
    const behind = (e) => { for (; e; e = e.parentElement) { const b = rgba(getComputedStyle(e).backgroundColor); if (b.a === 1) return b; }
        return { c: [255, 255, 255], a: 1 }; };
    let worst = { ratio: 99 };
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('noscript, svg, .skip')) continue;
        seen++;
        const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
        const ratio = (a + .05) / (b + .05);
        if (ratio < worst.ratio) worst = { ratio, text: walk.currentNode.data, of: e.className };
    }
    return { ...worst, seen };
})()";

#[tokio::test]
async fn status_page_contrast_is_sufficient_light_and_dark() {
    let fleet = Fleet::start().await;
    let mut backgrounds = Vec::new();
    for dark in [false, true] {
        let mut browser = opened(&fleet.sidekey, 1100, dark).await;
        browser.wait("document.querySelector('#summary').className === 'summary error'").await;
        let worst = browser.eval(LOWEST_CONTRAST).await;
        assert!(
            worst["ratio"].as_f64() >= Some(4.5) && worst["seen"].as_u64() > Some(60),
            "dark {dark}: {worst}"
        );
        backgrounds.push(browser.eval("getComputedStyle(document.body).backgroundColor").await);
        assert_eq!(browser.messages().await, [""; 0]);
    }
    assert_ne!(backgrounds[0], backgrounds[1]);
}

#[tokio::test]
async fn status_page_fits_on_a_phone() {
    let fleet = Fleet::start().await;
    let mut browser = opened(&fleet.sidekey, 360, false).await;
    browser.wait("document.querySelector('#summary').className === 'summary error'").await;
    let widths = browser.eval("[document.documentElement.scrollWidth, innerWidth]").await;
    assert_eq!(widths, json!([360, 360]), "nothing overflows at the side");
    let cut = "[...document.querySelectorAll('#services *')].filter(e => e.checkVisibility() && !e.closest('svg') \
               && e.getBoundingClientRect().right > 360).map(e => e.className)";
    assert_eq!(browser.eval(cut).await, json!([]));
}

/// If reading needs the token, the page asks for it, works with the keyboard alone, and stores it nowhere.
#[tokio::test]
async fn status_page_asks_for_token_if_reading_requires_it() {
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN}, require_token_to_read: true }}\n\
         log: {{ level: info, format: json }}\n\
         services: {{ mail: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: t }} }} }}\n"
    ))
    .start_ready()
    .await;
    let mut browser = Browser::start();
    browser.open(&sidekey.admin_url("/"), 800, false).await;
    browser.wait("document.querySelector('#token-dialog').open").await;
    assert_eq!(browser.eval("document.activeElement.id").await, json!("token"));
    assert_eq!(browser.eval("document.querySelectorAll('#services li').length").await, json!(0));
    browser.fill("#token", "wrong-token-wrong-token").await;
    browser.press("Enter").await;
    browser.wait("document.querySelector('#token-error').innerText.includes('not the admin token')").await;
    browser.press("Escape").await;
    browser.wait("!document.querySelector('#token-dialog').open").await;
    // The page does not ask for it again by itself.
    let asked = "document.querySelector('#headline').innerText === 'Reading needs the admin token'";
    browser.wait(asked).await;
    browser.eval("new Promise(done => setTimeout(done, 2500))").await;
    assert_eq!(browser.eval("document.querySelector('#token-dialog').open").await, json!(false));
    browser.eval("document.querySelector('#unlock').focus()").await;
    browser.press("Enter").await;
    browser.wait("document.querySelector('#token-dialog').open").await;
    browser.fill("#token", TOKEN).await;
    browser.press("Enter").await;
    browser.wait(LOADED).await;
    let kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, document.querySelector('#token').value, location.href])";
    assert!(!browser.eval(kept).await.as_str().unwrap().contains(TOKEN));
    // The browser logs each 401 as a failed load, and nothing else.
    let said = browser.messages().await;
    assert!(said.iter().all(|line| line.contains("401 (Unauthorized)")), "{said:?}");
}

/// With the keyboard alone: to the button, through the token dialog, to the result.
#[tokio::test]
async fn status_page_reloads_configuration() {
    let config = |upstream: &str| {
        format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\nreload: {{ interval: 1h }}\n\
             log: {{ level: info, format: json }}\n\
             services: {{ mail: {{ {upstream}: 'http://127.0.0.1:1', auth: {{ type: bearer, token: t }} }} }}\n"
        )
    };
    let sidekey = Sidekey::configured(&config("upstream")).start_ready().await;
    let mut browser = opened(&sidekey, 800, false).await;
    sidekey.write("sidekey.yaml", &config("upstrem"));
    let focused = "document.activeElement.id || document.activeElement.className";
    for expected in ["skip", "add", "reload"] {
        browser.press("Tab").await;
        assert_eq!(browser.eval(focused).await, json!(expected));
        let outline = "getComputedStyle(document.activeElement).outlineStyle";
        assert_ne!(browser.eval(outline).await, json!("none"), "the focus is visible");
    }
    browser.press("Enter").await;
    browser.wait("document.querySelector('#token-dialog').open").await;
    browser.press("Escape").await;
    browser
        .wait("!document.querySelector('#token-dialog').open && document.activeElement.id === 'reload'")
        .await;
    browser.press("Enter").await;
    browser.wait("document.querySelector('#token-dialog').open").await;
    browser.fill("#token", TOKEN).await;
    browser.press("Enter").await;
    browser.wait("document.querySelector('#reloaded').innerText.includes('did you mean `upstream`?')").await;
    browser
        .wait(
            "document.querySelector('#notice').innerText.includes('The configuration of mail has a mistake')",
        )
        .await;
    sidekey.write("sidekey.yaml", &config("upstream"));
    browser.press("Enter").await;
    browser.wait("document.querySelector('#reloaded').innerText === 'Reloaded. Nothing has changed.'").await;
    browser.wait("document.querySelector('#notice').hidden").await;
    assert_eq!(browser.messages().await, [""; 0]);
}

/// With the keyboard alone: a token refresh and a test of the upstream, each with its result.
#[tokio::test]
async fn status_page_refreshes_and_tests_a_service() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    login.always(MockTokenResponse::issue(3600));
    let crm = service("crm", &upstream, &login, "token_request: { min_interval: 1ms },", "");
    let sidekey = Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
         log: {{ level: info, format: json }}\nservices:\n  {crm}  \
         mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}\n",
        upstream.url()
    ))
    .start_ready()
    .await;
    let mut browser = opened(&sidekey, 800, false).await;
    let tree = browser.tree().await;
    for button in ["Refresh the token of crm now", "Test crm", "Test mail"] {
        assert!(tree.contains(&format!("button \"{button}\"")), "{button} in\n{tree}");
    }
    assert!(!tree.contains("Refresh the token of mail now"), "there is nothing to refresh");
    let focused = "document.activeElement.getAttribute('aria-label')";
    let result = |name: &str| format!("document.querySelector(\"{} [role='status']\").innerText", card(name));

    browser.eval("document.querySelector('#services').focus()").await;
    browser.press("Tab").await;
    assert_eq!(browser.eval(focused).await, json!("Refresh the token of crm now"));
    browser.press("Enter").await;
    browser.wait("document.querySelector('#token-dialog').open").await;
    assert_eq!(login.request_count(), 1, "no refresh without the admin token");
    browser.fill("#token", TOKEN).await;
    browser.press("Enter").await;
    browser.wait(&format!("{}.startsWith('There is a new token; it lives for 3')", result("crm"))).await;
    assert_eq!(login.request_count(), 2);
    assert_eq!(
        browser.eval(focused).await,
        json!("Refresh the token of crm now"),
        "the focus is where it was"
    );
    login.always(MockTokenResponse::json(&json!({ "error": "<b>down</b>" })));
    browser.press("Enter").await;
    browser.wait(&format!("{}.startsWith('No new token: ')", result("crm"))).await;
    assert_eq!(browser.eval("document.querySelectorAll('main b b, .result b').length").await, json!(0));

    browser.press("Tab").await;
    assert_eq!(browser.eval(focused).await, json!("Test crm"));
    browser.press("Enter").await;
    browser.wait(&format!("{}.includes('the upstream answered 200')", result("crm"))).await;
    assert_eq!(upstream.request_count(), 1);
    upstream.always(MockResponse::status(403));
    browser.press("Tab").await;
    assert_eq!(browser.eval(focused).await, json!("Path for the test of crm"));
    browser.fill(&(card("crm") + " .path"), "/contacts?limit=1").await;
    browser.press("Enter").await;
    browser.wait(&format!("{}.includes('does not allow the request')", result("crm"))).await;
    assert_eq!(upstream.last_request().target, "/contacts?limit=1");
    browser.press("Tab").await;
    assert_eq!(browser.eval(focused).await, json!("Edit crm"));
    // The last refresh of crm has failed.
    browser.press("Tab").await;
    assert_eq!(browser.eval("document.activeElement.innerText").await, json!("Runbook"));
    browser.press("Tab").await;
    assert_eq!(browser.eval(focused).await, json!("Test mail"));
    browser.press("Enter").await;
    browser.wait(&format!("{}.includes('does not allow the request')", result("mail"))).await;
    assert_eq!(browser.messages().await, [""; 0]);
}

/// Without an admin token nothing can be changed. The one button that is shown says what that needs.
#[tokio::test]
async fn status_page_without_admin_token_has_one_button() {
    let sidekey =
        Sidekey::serving("mail: { upstream: 'http://127.0.0.1:1', auth: { type: bearer, token: t } }")
            .start()
            .await;
    let mut browser = opened(&sidekey, 800, false).await;
    let buttons = "[...document.querySelectorAll('button')].filter(b => b.checkVisibility()).map(b => b.id)";
    assert_eq!(browser.eval(buttons).await, json!(["add"]));
}
