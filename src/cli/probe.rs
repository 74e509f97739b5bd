//! `sidekey probe`: is it ready? For container health checks, where the image has no shell and no `curl`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::ListenAddress;

/// A health check that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// The answer's status line, and what `/readyz` says of services that are not ready.
const MAX_ANSWER: u64 = 64 * 1024;

/// Arguments of `sidekey probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The admin listener: ADDRESS:PORT or unix:PATH.
    #[arg(long, value_name = "ADDRESS", env = "SIDEKEY_ADMIN", default_value = "127.0.0.1:9090")]
    admin: ListenAddress,
    /// What is asked: /readyz, or /livez where it is enough that the process is up.
    #[arg(default_value = "/readyz")]
    path: String,
}

/// Asks; succeeds where the answer is 200.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn probe(args: &Args) -> ExitCode {
    match ask(&args.admin, &args.path) {
        Ok(answer) => {
            let status = answer.split(' ').nth(1).unwrap_or_default();
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            println!("{}", body.trim_end());
            if status == "200" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("no answer from {}: {error}", args.admin);
            ExitCode::FAILURE
        }
    }
}

fn ask(admin: &ListenAddress, path: &str) -> io::Result<String> {
    match admin {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(stream, path)
        }
        ListenAddress::Unix(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(stream, path)
        }
    }
}

/// HTTP/1.0, so that the answer ends with the connection.
fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path begins with `/` and is visible ASCII",
        ));
    }
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
