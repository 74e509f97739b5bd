//! The command: arguments and exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::report::{Format, Report};
use super::table;
use crate::app;
use crate::cli::config_arg::{ConfigArg, read};
use crate::cli::exit::EXIT_CONFIG;
use crate::config::Config;
use crate::diagnose;
use crate::diagnose::ProbeResult;
use crate::secret::SecretCache;

/// Arguments of `sidekey check`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The services file, in place of `--config`; `-` is standard input, and a folder has files that are included.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Also connect to every upstream and token endpoint (DNS, TCP, TLS). No request and no credential is sent, but to the
    /// shared store its user and password.
    #[arg(long, conflicts_with_all = ["format", "without_secrets"])]
    online: bool,
    /// Read no secret, key or certificate: variables need not be set, files need not exist, commands are not run. For a pull
    /// request.
    #[arg(long)]
    without_secrets: bool,
    /// How errors and warnings are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Prints the services as a table, and warnings. Fails if the configuration has an error.
pub(in crate::cli) fn check(args: &Args) -> ExitCode {
    let path: &Path = args.file.as_deref().unwrap_or(&args.config.config);
    let secrets =
        if args.without_secrets { SecretCache::with_placeholders() } else { SecretCache::default() };
    let config = read(path, &secrets);
    Report::new(path, &config).print(args.format);
    match config {
        Err(_) => ExitCode::from(EXIT_CONFIG),
        Ok(config) if args.online => online(&config),
        Ok(_) => ExitCode::SUCCESS,
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
fn online(config: &Config) -> ExitCode {
    match probe(config) {
        Ok(results) => {
            let failed = results.iter().filter(|server| server.problem.is_some()).count();
            print!("\n{}", table::of_servers(&results));
            if failed == 0 {
                return ExitCode::SUCCESS;
            }
            eprintln!("\n{failed} of {} cannot be reached", results.len());
        }
        Err(error) => eprintln!("cannot check online: {error:#}"),
    }
    ExitCode::FAILURE
}

fn probe(config: &Config) -> anyhow::Result<Vec<ProbeResult>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut results = diagnose::probe_all(app::probe_targets(config)?).await;
        results.extend(app::probe_shared_store(config).await?);
        Ok(results)
    })
}
