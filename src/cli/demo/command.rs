//! The command: starts the servers, then the proxy in front of them.

use std::net::SocketAddr;
use std::process::ExitCode;

use super::instructions::print_instructions;
use super::services::services;
use super::{echo, tokens};
use crate::app::ACCEPT_LOG;
use crate::cli::exit::cannot_start;
use crate::cli::serve;
use crate::cli::serve::Server;
use crate::config::Config;
use crate::credential::READERS;
use crate::logging;
use crate::net::listener::{BindError, InheritedSockets};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Address for callers. A free port is used if this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address for health and metrics. A free port is used if this one is in use.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

/// Runs the demo until Ctrl-C.
pub(in crate::cli) fn demo(args: &Args) -> ExitCode {
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
        anyhow::Ok(Config { warnings: Vec::new(), ..Config::parse(&text, "demo", READERS)? })
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
