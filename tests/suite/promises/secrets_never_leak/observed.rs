//! Everything that the program shows to anybody.

use crate::harness::{Request, Sidekey};

const PAGES: [&str; 12] = [
    "/",
    "/livez",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/services",
    "/api/v1/services/oauth2-basic-file",
    "/api/v1/log-level",
    "/api/v1/openapi.json",
    "/config",
    "/debug",
    "/nothing?here",
];

/// Logs and standard output, every admin page by every method, and the command line.
pub async fn everything_shown(sidekey: &Sidekey) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for page in PAGES {
        for method in ["GET", "POST", "OPTIONS", "TRACE"] {
            let response = Request::new(method, sidekey.admin_url(page)).send().await;
            let text = format!("{}{}", String::from_utf8_lossy(&response.raw_head), response.text());
            shown.push((format!("{method} {page}"), text));
        }
    }
    let command_line = std::fs::read(format!("/proc/{}/cmdline", sidekey.process_id())).unwrap();
    shown.push(("the command line".into(), String::from_utf8_lossy(&command_line).into_owned()));
    shown.push(("the log".into(), sidekey.log()));
    shown
}
