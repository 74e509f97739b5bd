//! The status page alone tells a newcomer which of ten services are broken, and why.
//!
//! `make screenshots` takes the screenshots of the documentation with these tests.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::setup::{TOKEN, becomes};
use crate::harness::{
    Browser, Gate, MockTokenEndpoint, MockTokenResponse, MockUpstream, RefusingPort, Sidekey,
};
use crate::suite::oauth2::setup::service;

/// Ten services: seven ready, and three broken in three ways.
struct Ten {
    sidekey: Sidekey,
    _alive: Box<dyn std::any::Any + Send>,
}

const BROKEN: [(&str, &str); 3] =
    [("maps", "unreachable"), ("payments", "refused"), ("tickets", "unavailable")];

impl Ten {
    async fn start() -> Self {
        let upstream = MockUpstream::plain().await;
        let (fine, refusing, hanging) = (
            MockTokenEndpoint::plain().await,
            MockTokenEndpoint::plain().await,
            MockTokenEndpoint::plain().await,
        );
        fine.always(MockTokenResponse::issue(3600));
        refusing.always(MockTokenResponse::error(401, "invalid_client"));
        hanging.always(MockTokenResponse::issue(3600).delayed_until(&Gate::closed()));
        let nobody = RefusingPort::new();
        let mut services = String::new();
        for name in ["billing", "crm"] {
            services += &service(name, &upstream, &fine, "", "");
        }
        let url = upstream.url();
        write!(
            services,
            "search: {{ upstream: '{url}/v2', auth: {{ type: basic, username: u, password: p }} }}\n\
             maps: {{ upstream: 'http://{}/tiles', auth: {{ type: api_key, in: query, name: key, value: k }} }}\n\
             mail: {{ upstream: '{url}', auth: {{ type: bearer, token: t }} }}\n",
            nobody.address
        )
        .unwrap();
        services += &service("payments", &upstream, &refusing, "", "");
        services += &service("calendar", &upstream, &fine, "scopes: [read],", "");
        services += &service("tickets", &upstream, &hanging, "token_request: { timeout: 1s },", "");
        writeln!(services, "weather: {{ upstream: '{url}/v1', auth: {{ type: bearer, token: u }} }}")
            .unwrap();
        services += &service("archive", &upstream, &fine, "scopes: [write],", "");
        let services = services.lines().fold(String::new(), |all, line| all + "  " + line + "\n");
        let sidekey = Sidekey::configured(&format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}\n\
             log: {{ level: info, format: json }}\nservices:\n{services}"
        ))
        .start()
        .await;
        for name in ["billing", "crm", "calendar", "archive"] {
            becomes(&sidekey, name, "ready", "ok").await;
        }
        sidekey.get("/maps/a").await;
        for (name, state) in BROKEN {
            becomes(&sidekey, name, state, "error").await;
        }
        let alive = Box::new((upstream, fine, refusing, hanging, nobody));
        Self { sidekey, _alive: alive }
    }

    /// Opens the page and waits until it shows the broken services.
    async fn open(&self, width: u32, dark: bool) -> Browser {
        let mut browser = Browser::start();
        browser.open(&self.sidekey.admin_url("/"), width, dark).await;
        browser.wait("document.querySelector('#summary').className === 'summary error'").await;
        browser
    }
}

/// In reading order: the headline, the names below it, the first cards.
#[tokio::test]
async fn status_page_shows_which_services_are_broken_and_why() {
    let ten = Ten::start().await;
    let mut browser = ten.open(1280, false).await;
    assert_eq!(browser.text("#headline").await, "3 of 10 services are broken");
    let detail = browser.text("#detail").await;
    assert_eq!(detail, "Broken: maps (unreachable), payments (refused), tickets (no token).");
    let order = browser.eval("[...document.querySelectorAll('#services h3')].map(h => h.innerText)").await;
    assert_eq!(order.as_array().unwrap().len(), 10);
    assert_eq!(order.as_array().unwrap()[..3], BROKEN.map(|(name, _)| json!(name)), "broken ones first");
    // The first is visible without scrolling; the others are one click away.
    let on_screen = |name: &str| {
        format!(
            "(r => r.top >= 0 && r.top + 60 < innerHeight)(document.querySelector('#service-{name}').getBoundingClientRect())"
        )
    };
    assert_eq!(browser.eval(&on_screen("maps")).await, json!(true));
    for (name, what, why, advice) in [
        (
            "maps",
            "The upstream cannot be reached: ",
            "Connection refused",
            "What to do: No server accepts connections there",
        ),
        (
            "payments",
            "The identity provider refuses to issue a token: ",
            "invalid_client",
            "What to do: The client is unknown there",
        ),
        (
            "tickets",
            "No token could be obtained yet: ",
            "did not answer in time",
            "What to do: The identity provider is slow",
        ),
    ] {
        browser.click(&format!("#detail a[href='#service-{name}']")).await;
        assert_eq!(browser.eval(&on_screen(name)).await, json!(true), "{name}");
        let card = format!("[aria-labelledby='service-{name}'] ");
        let said = browser.text(&(card.clone() + ".what")).await;
        assert!(said.starts_with(what) && said.contains(why) && !said.contains('`'), "{name}: {said}");
        let todo = browser.text(&(card + ".todo")).await;
        assert!(todo.starts_with(advice), "{name}: {todo}");
    }
    // It names the identity provider.
    let endpoint = browser.text("[aria-labelledby='service-tickets'] .endpoint").await;
    assert!(endpoint.contains("http://127.0.0.1:") && endpoint.ends_with("/oauth2/token"), "{endpoint}");
    let ready = "document.querySelectorAll('.service.ok').length";
    assert_eq!(browser.eval(ready).await, json!(7), "the others are shown as ready");
    assert_eq!(browser.messages().await, [""; 0]);
}

/// JavaScript: texts that overflow their card or are cut off, and lines of a card that overlap.
const LAYOUT_FAULTS: &str = "[...document.querySelectorAll('header *, .summary *, .service *')].filter(e => e.checkVisibility() \
    && !e.closest('svg, .meter') && e.innerText?.trim()).flatMap(e => { \
    const r = e.getBoundingClientRect(), c = (e.closest('.service, .summary, header')).getBoundingClientRect(); \
    return r.right > c.right + .5 || r.left < c.left - .5 || r.bottom > c.bottom + .5 || e.scrollWidth > e.clientWidth + 1 && \
        getComputedStyle(e).display !== 'inline' ? [`${e.tagName}.${e.className}: ${e.innerText}`] : []; })";

#[tokio::test]
async fn status_page_layout_fits_each_width_and_colour_scheme() {
    let ten = Ten::start().await;
    for (width, dark, picture) in [
        (1280, false, Some("status-page.png")),
        (1280, true, Some("status-page-dark.png")),
        (390, false, None),
        (390, true, None),
    ] {
        let mut browser = ten.open(width, dark).await;
        assert_eq!(browser.eval("document.documentElement.scrollWidth").await, json!(width));
        assert_eq!(browser.eval(LAYOUT_FAULTS).await, json!([]), "{width}, dark {dark}");
        if let (Some(picture), Some(folder)) = (picture, std::env::var_os("SIDEKEY_PICTURES")) {
            browser.screenshot(&Path::new(&folder).join(picture)).await;
        }
        assert_eq!(browser.messages().await, [""; 0]);
    }
}
