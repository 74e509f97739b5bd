//! Sidekey beside other proxies: CPU time per request, latency, memory. `docs/BENCHMARKS.md` says how to read it.
//!
//! Every proxy has the first core, load and upstream have the second. All are started at once and take turns, so that
//! what else the machine does meets each of them alike; of all rounds the median counts.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod account;
mod cases;
mod compare;
mod hyper_proxy;
mod idle;
mod instructions;
mod load;
mod overload;
mod paced;
mod pingora_proxy;
mod pki;
mod plot;
mod proxies;
mod reload;
mod report;
mod scaling;
mod system_calls;
mod upstream;
mod upstream_h2;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use tempfile::TempDir;

use load::Caller;
use proxies::{Process, World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every proxy writes into every request.
const fn authorization() -> &'static str {
    "Bearer 2YotnFZFEjr1zCsicMWpAA2YotnFZFEjr1zCsicMWpAA"
}

#[derive(Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// The program that is measured.
    #[arg(long, default_value = "target/dist/sidekey")]
    sidekey: PathBuf,
    /// An older program, as the proxy `before`.
    #[arg(long)]
    before: Option<PathBuf>,
    /// Where Envoy is.
    #[arg(long, default_value = "envoy")]
    envoy: PathBuf,
    /// Which proxies.
    #[arg(long, value_delimiter = ',', default_values = proxies::ALL)]
    proxies: Vec<String>,
    /// Which cases; `latency`, `paced`, `memory`, `start`, `system-calls` and `workers` are some of them.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// More or fewer requests in every case.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Write the page, the data and a plot to this path with `.md`, `.json` and `.svg`.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Count Sidekey's instructions per request with callgrind.
    Instructions {
        #[arg(long, default_value = "target/dist/sidekey")]
        sidekey: PathBuf,
        /// Fail where a count is more than 3 % above that in this file; without the file, write it.
        #[arg(long)]
        baseline: Option<PathBuf>,
    },
    /// Send requests at a fixed rate, whether they are answered or not.
    Overload(overload::Load),
    /// Serve as the upstream of that.
    OverloadUpstream {
        address: SocketAddr,
        /// Answer nothing.
        #[arg(long)]
        hangs: bool,
    },
    // What this program starts of itself.
    #[command(hide = true)]
    Upstream { plain: SocketAddr, tls: SocketAddr, h2: SocketAddr, dir: PathBuf },
    #[command(hide = true)]
    Pingora(Own),
    #[command(hide = true)]
    Hyper(Own),
}

/// How a proxy that is part of this program is started.
#[derive(Args)]
struct Own {
    listen: SocketAddr,
    upstream: String,
    #[arg(long)]
    ca_file: Option<String>,
    #[arg(long)]
    h2_upstream: bool,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.part {
        Some(Part::Instructions { sidekey, baseline }) => {
            let (world, _upstream) = prepare(sidekey, &cli)?;
            instructions::report(&instructions::count(&world)?, baseline.as_deref())
        }
        Some(Part::Overload(load)) => {
            println!("{}", overload::run(load)?);
            Ok(())
        }
        Some(Part::OverloadUpstream { address, hangs }) => overload::serve(*address, *hangs),
        Some(Part::Upstream { plain, tls, h2, dir }) => upstream::run(*plain, *tls, *h2, dir),
        Some(Part::Pingora(own)) => {
            pingora_proxy::run(own.listen, &own.upstream, own.ca_file.as_deref(), own.h2_upstream)
        }
        Some(Part::Hyper(own)) => {
            hyper_proxy::run(own.listen, &own.upstream, own.ca_file.as_deref(), own.h2_upstream)
        }
        None => {
            let (world, _upstream) = prepare(&cli.sidekey, &cli)?;
            let run = compare::run(&cli, &world)?;
            let page = run.page();
            println!("{page}");
            if let Some(output) = &cli.output {
                std::fs::create_dir_all(output.parent().context("--output is a file")?)?;
                std::fs::write(output.with_extension("md"), &page)?;
                let data = run.data();
                std::fs::write(output.with_extension("json"), serde_json::to_string_pretty(&data)? + "\n")?;
                std::fs::write(output.with_extension("svg"), plot::svg(&run))?;
            }
            Ok(())
        }
    }
}

/// Starts the upstream, which ends when what is returned does.
fn prepare(sidekey: &Path, cli: &Cli) -> anyhow::Result<(World, (Process, TempDir))> {
    let (_, limit) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?;
    let mut second = CpuSet::new();
    second.set(1)?;
    sched_setaffinity(Pid::from_raw(0), &second).context("this needs two cores")?;

    let dir = tempfile::Builder::new().prefix("sidekey-bench-").tempdir()?;
    pki::make(dir.path())?;
    let world = World {
        dir: dir.path().to_owned(),
        sidekey: sidekey.to_owned(),
        before: cli.before.clone(),
        envoy: cli.envoy.clone(),
        plain: proxies::free_address()?,
        tls: proxies::free_address()?,
        h2: proxies::free_address()?,
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("upstream").args([world.plain, world.tls, world.h2].map(|address| address.to_string()));
    command.arg(dir.path());
    let upstream = Process::start(&mut command, dir.path())?;
    while Caller::open(world.plain, "", authorization()).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((world, (upstream, dir)))
}
