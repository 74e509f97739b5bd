//! `sidekey ca init`: generates a certificate authority for interception that can sign for the configured hosts only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

use super::config_arg::ConfigArg;
use crate::config::{Config, Host};
use crate::secret::{ensure_safe_folder, write_new_file};
use crate::tls::new_ca;

/// Long enough not to be a burden, short enough that a stolen key becomes useless.
const VALIDITY: Duration = Duration::from_secs(5 * 365 * 24 * 3600);
/// How far the start of validity is set back, for machines whose clock is slow.
const BACKDATE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, clap::Subcommand)]
pub(super) enum Ca {
    /// Generate a CA for `intercept`: certificate and key, for the hosts of the configured services only.
    Init(Init),
}

#[derive(Debug, clap::Args)]
pub(super) struct Init {
    #[command(flatten)]
    config: ConfigArg,
    /// The folder for `sidekey-ca.crt` and `sidekey-ca.key`. Existing files are never overwritten.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Generate a CA that can sign for every host; no configuration is read. Whoever has its key can impersonate any server to
    /// those who trust it.
    #[arg(long)]
    unconstrained: bool,
}

#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn ca(command: &Ca) -> ExitCode {
    let Ca::Init(init) = command;
    match init_ca(init) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "an operator reads it")]
fn init_ca(init: &Init) -> anyhow::Result<()> {
    let hosts = if init.unconstrained { Vec::new() } else { hosts(&init.config.config)? };
    let (certificate, key) = generate_ca(&hosts, init.unconstrained)?;
    fs::create_dir_all(&init.out).with_context(|| format!("cannot create {}", init.out.display()))?;
    ensure_safe_folder(&init.out)?;
    let (cert_file, key_file) = (init.out.join("sidekey-ca.crt"), init.out.join("sidekey-ca.key"));
    for file in [&cert_file, &key_file] {
        if file.symlink_metadata().is_ok() {
            bail!("{} exists; a CA is never overwritten, because callers may trust it", file.display());
        }
    }
    write(&key_file, 0o600, &key)?;
    write(&cert_file, 0o644, &certificate)?;
    let names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let scope = if init.unconstrained {
        "It can sign for every host.".to_owned()
    } else {
        format!("It can sign for these hosts (and names below them) only: {}", names.join(", "))
    };
    println!(
        "{cert}   the certificate, for callers to trust
{key}   its key, for Sidekey alone

{scope}

In the configuration:
  intercept: {{ ca_cert_file: {cert}, ca_key_file: {key} }}

docs/CLIENTS.md shows how to make each kind of caller trust it.",
        cert = absolute(&cert_file),
        key = absolute(&key_file),
    );
    Ok(())
}

fn hosts(config: &Path) -> anyhow::Result<Vec<Host>> {
    let hosts = Config::hosts(config).map_err(|error| {
        anyhow::anyhow!("{error}\nThe CA may sign for the hosts in that file; --config names another one.")
    })?;
    if hosts.is_empty() {
        bail!("{}: no service has an `upstream`, so there is no host to sign for", config.display());
    }
    Ok(hosts)
}

/// Generates certificate and key, in PEM.
pub(super) fn generate_ca(hosts: &[Host], unconstrained: bool) -> anyhow::Result<(String, String)> {
    let now = SystemTime::now();
    let hosts = (!unconstrained).then_some(hosts);
    let ca = new_ca::generate("Sidekey CA", hosts, now - BACKDATE..now + VALIDITY)?;
    Ok((ca.pem(), ca.key().serialize_pem()))
}

fn write(path: &Path, mode: u32, content: &str) -> anyhow::Result<()> {
    write_new_file(path, mode, content.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).display().to_string()
}
