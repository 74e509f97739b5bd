//! `sidekey probe`: asks a running Sidekey whether it is ready. For container health checks, because the image has no shell and no
//! `curl`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

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
    match request(&args.admin, &args.path) {
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

fn request(admin: &ListenAddress, path: &str) -> io::Result<String> {
    match admin {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            send(stream, path)
        }
        ListenAddress::Unix(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            send(stream, path)
        }
    }
}

/// Sends the request by HTTP/1.0, so that the response ends with the connection.
fn send(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path must begin with `/` and consist of visible ASCII",
        ));
    }
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_RESPONSE_SIZE).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
