//! `sidekey demo`: the main job with nothing to set up. An echo upstream and a token endpoint on loopback, one service of
//! every kind, the real proxy before them, and the `curl` lines to try.

mod echo;
mod tokens;

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use super::cannot_start;
use super::run::serve;
use crate::app::{ACCEPT_LOG, App};
use crate::config::Config;
use crate::credential::AUTH_KINDS;
use crate::logging;
use crate::net::listener::BindError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen for callers; a free port is taken where this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to listen for health and metrics; a free port is taken where this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

/// Runs the demo until Ctrl-C.
pub(super) fn demo(args: &Args) -> ExitCode {
    let outcome = start_servers().and_then(|(echo, tokens)| run(args, echo, tokens));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&error),
    }
}

fn run(args: &Args, echo: SocketAddr, tokens: SocketAddr) -> anyhow::Result<()> {
    let config = || {
        let text = services(free(args.listen), free(args.admin), echo, tokens);
        // That its secrets stand in plain text is what a demo is.
        anyhow::Ok(Config { warnings: Vec::new(), ..Config::parse(&text, "demo", AUTH_KINDS)? })
    };
    logging::init(&config()?.log, ACCEPT_LOG)?;
    match serve(&config()?, false, show) {
        // Another demo that started at the same moment took the port; now it shows as taken.
        Err(error) if error.is::<BindError>() => serve(&config()?, false, show),
        outcome => outcome,
    }
}

/// Starts both servers on a thread of their own, as they would be elsewhere in the world.
fn start_servers() -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bind = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let (echo, tokens) = (bind()?, bind()?);
    let addresses = (echo.local_addr()?, tokens.local_addr()?);
    std::thread::Builder::new().name("demo-servers".into()).spawn(move || {
        runtime.block_on(async {
            let _ = tokio::join!(axum::serve(echo, echo::router()), axum::serve(tokens, tokens::router()));
        });
    })?;
    Ok(addresses)
}

/// The address, or the same with any free port where it is taken.
fn free(address: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => SocketAddr::new(address.ip(), 0),
    }
}

fn services(listen: SocketAddr, admin: SocketAddr, echo: SocketAddr, tokens: SocketAddr) -> String {
    format!(
        "listen: {listen}
admin: {admin}
log: {{ level: warn }}
services:
  basic:
    upstream: http://{echo}
    auth: {{ type: basic, username: demo, password: correct-horse-battery-staple }}
  bearer:
    upstream: http://{echo}
    auth: {{ type: bearer, token: demo-bearer-token-0123456789 }}
  header-key:
    upstream: http://{echo}
    auth: {{ type: api_key, in: header, name: X-API-Key, value: demo-header-key-0123456789 }}
  query-key:
    upstream: http://{echo}
    auth: {{ type: api_key, in: query, name: key, value: demo-query-key-0123456789 }}
  cookie-key:
    upstream: http://{echo}
    auth: {{ type: api_key, in: cookie, name: session, value: demo-cookie-key-0123456789 }}
  oauth2:
    upstream: http://{echo}
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: http://{tokens}/oauth/v2/token
      client_id: demo
      client_secret: demo-client-secret
      scopes: [demo.read]
"
    )
}

/// Prints what to try and what to see.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn show(app: &Arc<App>) {
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
    ("oauth2", "Authorization: Bearer …, from a token endpoint, renewed every minute"),
];

fn text(proxy: &str, admin: &str) -> String {
    let mut calls = String::new();
    for (service, shown) in CALLS {
        let url = format!("http://{proxy}/{service}/hello");
        writeln!(calls, "  curl {url:<0$}  # {shown}", "http:///header-key/hello".len() + proxy.len())
            .expect("a String takes everything");
    }
    format!(
        "Sidekey is running on {proxy}. Before an echo server that shows what it received, there is one service of each\n\
         kind. Call them without any credential:\n\n\
         {calls}\n\
         What you send in a credential's place is thrown away:\n\n\
         \x20 curl -H 'Authorization: Bearer mine' http://{proxy}/bearer/hello\n\n\
         What operators see (the first in a browser):\n\n\
         \x20 http://{admin}\n\
         \x20 curl http://{admin}/readyz\n\
         \x20 curl http://{admin}/metrics\n\n\
         Ctrl-C ends it. The echo shows credentials shortened; yours go in a services file: config/services.yaml."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comments_stand_in_one_column() {
        let text = text("127.0.0.1:8080", "127.0.0.1:9090");
        let columns: Vec<_> = text.lines().filter_map(|line| line.find("  # ")).collect();
        assert_eq!(columns.len(), CALLS.len());
        assert!(columns.iter().all(|column| *column == columns[0]), "{text}");
    }
}
