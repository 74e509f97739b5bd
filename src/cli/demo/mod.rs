//! `sidekey demo`: a demo that needs no setup. Runs an echo upstream and a token endpoint on loopback, the real proxy in front of
//! them with one service of each kind, and prints the `curl` commands to try.

mod echo;
mod tokens;

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::cannot_start;
use super::serve;
use super::serve::Server;
use crate::app::{ACCEPT_LOG, App};
use crate::config::Config;
use crate::credential::AUTH_KINDS;
use crate::logging;
use crate::net::listener::{BindError, InheritedSockets};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address for callers. A free port is used if this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address for health and metrics. A free port is used if this one is in use.
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
        let text = services(available(args.listen), available(args.admin), echo, tokens);
        // Secrets in plain text are intended in a demo.
        anyhow::Ok(Config { warnings: Vec::new(), ..Config::parse(&text, "demo", AUTH_KINDS)? })
    };
    logging::init(&config()?.log, ACCEPT_LOG)?;
    match run_server(&config()?) {
        // Another demo that started at the same moment took the port. It is seen as taken now.
        Err(error) if error.is::<BindError>() => run_server(&config()?),
        outcome => outcome,
    }
}

fn run_server(config: &Config) -> anyhow::Result<()> {
    serve::block_on(async {
        let server = Server::start(config, InheritedSockets::default(), false).await?;
        print_instructions(&server.app);
        server.run().await;
        Ok(())
    })
}

/// Starts both servers on a thread of their own, apart from the proxy.
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

/// The address, or the same IP address with any free port if it is in use.
fn available(address: SocketAddr) -> SocketAddr {
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

/// Prints the calls to try and the pages to look at.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn print_instructions(app: &App) {
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
        "Sidekey is running on {proxy}. It has one service of each kind, in front of an echo server that shows\n\
         what it received. Call them without any credential:\n\n\
         {calls}\n\
         A credential that you send yourself is removed:\n\n\
         \x20 curl -H 'Authorization: Bearer mine' http://{proxy}/bearer/hello\n\n\
         What operators see (the first in a browser):\n\n\
         \x20 http://{admin}\n\
         \x20 curl http://{admin}/readyz\n\
         \x20 curl http://{admin}/metrics\n\n\
         Press Ctrl-C to stop. The echo shortens credentials. A services file for your own: config/services.yaml."
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
