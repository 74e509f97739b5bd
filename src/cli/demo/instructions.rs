//! What the demo prints.

use std::fmt::Write;

use crate::app::App;

/// Prints the calls to try and the pages to look at.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(super) fn print_instructions(app: &App) {
    let address = |kind: &str| {
        app.listeners()
            .iter()
            .find(|listener| listener.kind == kind)
            .map(|listener| listener.address.to_string())
            .unwrap_or_default()
    };
    println!("{}", text(&address("proxy"), &address("admin")));
}

/// The calls to try, each with what the echo shows.
const CALLS: [(&str, &str); 6] = [
    ("basic", "Authorization: Basic …"),
    ("bearer", "Authorization: Bearer …"),
    ("header-key", "X-API-Key: …"),
    ("query-key", "?key=…"),
    ("cookie-key", "Cookie: session=…"),
    ("oauth2", "Authorization: Bearer …, from a token endpoint, refreshed every minute"),
];

fn text(proxy: &str, admin: &str) -> String {
    let mut calls = String::new();
    for (service, shown) in CALLS {
        let url = format!("http://{proxy}/{service}/hello");
        writeln!(calls, "  curl {url:<0$}  # {shown}", "http:///header-key/hello".len() + proxy.len())
            .expect("writing to a String cannot fail");
    }
    format!(
        "Sidekey is running on {proxy}. It has services of several kinds, in front of an echo server that shows\n\
         what it received. Call them without any credential:\n\n\
         {calls}\n\
         A credential that you send yourself is removed:\n\n\
         \x20 curl -H 'Authorization: Bearer mine' http://{proxy}/bearer/hello\n\n\
         What operators see (the first in a browser):\n\n\
         \x20 http://{admin}\n\
         \x20 curl http://{admin}/readyz\n\
         \x20 curl http://{admin}/metrics\n\n\
         Press Ctrl-C to stop. The echo shortens credentials. A service of your own: sidekey add."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_align_their_comments() {
        let text = text("127.0.0.1:8080", "127.0.0.1:9090");
        let columns: Vec<_> = text.lines().filter_map(|line| line.find("  # ")).collect();
        assert_eq!(columns.len(), CALLS.len());
        assert!(columns.iter().all(|column| *column == columns[0]), "{text}");
    }
}
