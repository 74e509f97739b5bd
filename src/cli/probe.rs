//! `sidekey probe`: asks a running Sidekey whether it is ready. For container health checks, because the image has no shell and no
//! `curl`.

use std::process::ExitCode;
use std::time::Duration;

use super::admin_client::AdminRequest;
use crate::config::ListenAddress;

/// How long a health check may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a response in bytes: the head, and what `/readyz` says about services that are not ready.
const MAX_RESPONSE_SIZE: u64 = 64 * 1024;

/// Arguments of `sidekey probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The admin listener: ADDRESS:PORT or unix:PATH.
    #[arg(long, value_name = "ADDRESS", env = "SIDEKEY_ADMIN", default_value = "127.0.0.1:9090")]
    admin: ListenAddress,
    /// The path to request: /readyz, or /livez if it is enough that the process is up.
    #[arg(default_value = "/readyz")]
    path: String,
}

/// Sends the request. Succeeds if the response is 200.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn probe(args: &Args) -> ExitCode {
    let request = AdminRequest {
        path: &args.path,
        json: None,
        token: None,
        timeout: TIMEOUT,
        max_response: MAX_RESPONSE_SIZE,
    };
    match request.send(&args.admin) {
        Ok(answer) => {
            println!("{}", answer.body.trim_end());
            if answer.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("no answer from {}: {error}", args.admin);
            ExitCode::FAILURE
        }
    }
}
