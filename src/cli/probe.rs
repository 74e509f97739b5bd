//! `sidekey probe`: asks a running Sidekey whether it is ready. For container health checks, because the image has no shell and no
//! `curl`.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use super::admin_client::AdminRequest;
use crate::config::ListenAddress;
use crate::config::reader::duration;

/// How long a health check may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a response in bytes: the head, and what `/readyz` says about services that are not ready.
const MAX_RESPONSE_SIZE: u64 = 64 * 1024;

/// The pause between two requests of a probe that waits.
const PAUSE: Duration = Duration::from_millis(50);

/// Arguments of `sidekey probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The admin listener: ADDRESS:PORT or unix:PATH.
    #[arg(long, value_name = "ADDRESS", env = "SIDEKEY_ADMIN", default_value = "127.0.0.1:9090")]
    admin: ListenAddress,
    /// Try again for so long until the response is 200, for the hook of a container that others wait for.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "0s")]
    wait: Duration,
    /// The path to request: /readyz, or /livez if it is enough that the process is up.
    #[arg(default_value = "/readyz")]
    path: String,
}

/// Sends the request. Succeeds if the response is 200.
pub(super) fn probe(args: &Args) -> ExitCode {
    let deadline = Instant::now() + args.wait;
    loop {
        let is_last = Instant::now() + PAUSE >= deadline;
        let is_ready = ask(args, is_last);
        if is_ready || is_last {
            return if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        thread::sleep(PAUSE);
    }
}

/// Sends one request. Says what it did not succeed for if there is no other after it.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
fn ask(args: &Args, is_last: bool) -> bool {
    let request = AdminRequest {
        path: &args.path,
        json: None,
        token: None,
        timeout: TIMEOUT,
        max_response: MAX_RESPONSE_SIZE,
    };
    match request.send(&args.admin) {
        Ok(answer) => {
            let is_ready = answer.status == 200;
            if is_ready || is_last {
                println!("{}", answer.body.trim_end());
            }
            is_ready
        }
        Err(error) => {
            if is_last {
                eprintln!("no answer from {}: {error}", args.admin);
            }
            false
        }
    }
}
