//! Sidekey beside other proxies: CPU time per request, latency, memory. `docs/BENCHMARKS.md` says how to read it.
//!
//! Every proxy has the first core, load and upstream have the second. All are started at once and take turns, so that
//! what else the machine does meets each of them alike; of all rounds the median counts.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod account;
mod hyper_proxy;
mod instructions;
mod load;
mod pingora_proxy;
mod pki;
mod proxies;
mod report;
mod upstream;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use tempfile::TempDir;

use load::Caller;
use proxies::{Process, Proxy, Target, World};
use report::{Latency, Memory, Run, Sample, median};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every proxy writes into every request.
const fn authorization() -> &'static str {
    "Bearer 2YotnFZFEjr1zCsicMWpAA2YotnFZFEjr1zCsicMWpAA"
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Tls,
    OAuth2,
}

struct Case {
    name: &'static str,
    kind: Kind,
    path: &'static str,
    requests: usize,
    /// Bytes that each request carries.
    body: usize,
}

const fn case(name: &'static str, kind: Kind, path: &'static str, requests: usize, body: usize) -> Case {
    Case { name, kind, path, requests, body }
}

const CONNECTIONS: usize = 64;

/// Requests: about half a second of a fast proxy.
const CASES: [Case; 8] = [
    case("get-1k", Kind::Plain, "/1k", 20_000, 0),
    case("get-1k-oauth2", Kind::OAuth2, "/1k", 20_000, 0),
    case("get-1k-tls", Kind::Tls, "/1k", 15_000, 0),
    case("get-64k", Kind::Plain, "/64k", 6_000, 0),
    case("get-64k-tls", Kind::Tls, "/64k", 4_000, 0),
    case("get-1m", Kind::Plain, "/1m", 600, 0),
    case("get-1m-tls", Kind::Tls, "/1m", 300, 0),
    case("post-16k", Kind::Plain, "/1k", 12_000, 16 * 1024),
];

#[derive(Parser)]
#[command(about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// The program that is measured.
    #[arg(long, default_value = "target/dist/sidekey")]
    sidekey: PathBuf,
    /// Where Envoy is.
    #[arg(long, default_value = "envoy")]
    envoy: PathBuf,
    /// Which proxies.
    #[arg(long, value_delimiter = ',', default_values = proxies::ALL)]
    proxies: Vec<String>,
    /// Which cases; `latency` and `memory` are two of them.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// More or fewer requests in every case.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Write the page and the data to this path with `.md` and `.json`.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Count Sidekey's instructions per request with callgrind.
    Instructions {
        #[arg(long, default_value = "target/dist/sidekey")]
        sidekey: PathBuf,
    },
    // What this program starts of itself.
    #[command(hide = true)]
    Upstream { plain: SocketAddr, tls: SocketAddr, dir: PathBuf },
    #[command(hide = true)]
    Pingora { listen: SocketAddr, upstream: String, ca_file: Option<String> },
    #[command(hide = true)]
    Hyper { listen: SocketAddr, upstream: String, ca_file: Option<String> },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.part {
        Some(Part::Instructions { sidekey }) => {
            let (world, _upstream) = prepare(sidekey, &cli.envoy)?;
            for (service, count) in instructions::count(&world)? {
                println!("{service}: {count} instructions per request");
            }
            Ok(())
        }
        Some(Part::Upstream { plain, tls, dir }) => upstream::run(*plain, *tls, dir),
        Some(Part::Pingora { listen, upstream, ca_file }) => {
            pingora_proxy::run(*listen, upstream, ca_file.as_deref())
        }
        Some(Part::Hyper { listen, upstream, ca_file }) => {
            hyper_proxy::run(*listen, upstream, ca_file.as_deref())
        }
        None => compare(&cli),
    }
}

/// Starts the upstream, which ends when what is returned does.
fn prepare(sidekey: &Path, envoy: &Path) -> anyhow::Result<(World, (Process, TempDir))> {
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
        envoy: envoy.to_owned(),
        plain: proxies::free_address()?,
        tls: proxies::free_address()?,
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("upstream").args([world.plain.to_string(), world.tls.to_string()]).arg(dir.path());
    let upstream = Process::start(&mut command, dir.path())?;
    while Caller::open(world.plain, "", authorization()).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((world, (upstream, dir)))
}

fn compare(cli: &Cli) -> anyhow::Result<()> {
    let (world, _upstream) = prepare(&cli.sidekey, &cli.envoy)?;
    let mut all = Vec::new();
    for name in &cli.proxies {
        let proxy = proxies::start(name, &world)?;
        for target in [Some(&proxy.plain), Some(&proxy.tls), proxy.oauth2.as_ref()].into_iter().flatten() {
            load::wait_for(target).with_context(|| {
                format!(
                    "{name} does not put its own credential in place of the caller's; it says:\n{}",
                    proxy.said()
                )
            })?;
        }
        eprintln!("{name} {} replaces a caller's Authorization", proxy.version);
        all.push(proxy);
    }

    let wants = |name: &str| cli.cases.is_empty() || cli.cases.iter().any(|own| own == name);
    let cases: Vec<&Case> = CASES.iter().filter(|case| wants(case.name)).collect();
    let body_file = world.dir.join("body");
    let mut run = Run {
        proxies: all.iter().map(|proxy| (proxy.name.clone(), proxy.version.clone())).collect(),
        cases: cases.iter().map(|case| case.name).collect(),
        rounds: cli.rounds,
        samples: Vec::new(),
        latencies: Vec::new(),
        memory: Vec::new(),
    };
    if wants("memory") {
        run.memory = all.iter().map(memory_at_rest).collect::<anyhow::Result<_>>()?;
    }
    for case in &cases {
        std::fs::write(&body_file, vec![b'x'; case.body])?;
        let body = (case.body > 0).then(|| body_file.to_str().expect("a path made here"));
        measure(case, &all, cli, body, &mut run.samples)?;
    }
    if wants("latency") {
        run.latencies = latencies(&all, world.plain, cli)?;
    }
    for memory in &mut run.memory {
        let proxy = all.iter().find(|proxy| proxy.name == memory.proxy).expect("measured before");
        memory.after_load = account::memory(proxy.plain.process)?;
    }

    let page = run.page();
    println!("{page}");
    if let Some(output) = &cli.output {
        std::fs::create_dir_all(output.parent().context("--output is a file")?)?;
        std::fs::write(output.with_extension("md"), &page)?;
        std::fs::write(output.with_extension("json"), serde_json::to_string_pretty(&run.data())? + "\n")?;
    }
    Ok(())
}

/// All rounds of one case, each proxy in its turn, and another one first in every round.
fn measure(
    case: &Case,
    all: &[Proxy],
    cli: &Cli,
    body: Option<&str>,
    samples: &mut Vec<Sample>,
) -> anyhow::Result<()> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
    let requests = (case.requests as f64 * cli.scale) as usize;
    ensure!(requests > CONNECTIONS, "--scale is too small");
    let able: Vec<(&Proxy, &Target)> = all
        .iter()
        .filter_map(|proxy| match case.kind {
            Kind::Plain => Some((proxy, &proxy.plain)),
            Kind::Tls => Some((proxy, &proxy.tls)),
            Kind::OAuth2 => Some((proxy, proxy.oauth2.as_ref()?)),
        })
        .collect();
    for (_, target) in &able {
        load::run(target, case.path, CONNECTIONS, (requests / 5).max(CONNECTIONS), body)?;
    }
    for round in 0..cli.rounds {
        for turn in 0..able.len() {
            let (proxy, target) = able[(round + turn) % able.len()];
            let before = account::cpu(target.process)?;
            let requests_per_second = load::run(target, case.path, CONNECTIONS, requests, body)?;
            let cpu = account::cpu(target.process)?.saturating_sub(before);
            let cpu_micros = cpu.as_secs_f64() * 1e6 / requests as f64;
            samples.push(Sample {
                proxy: proxy.name.clone(),
                case: case.name,
                cpu_micros,
                requests_per_second,
            });
        }
        eprintln!("{}: round {} of {}", case.name, round + 1, cli.rounds);
    }
    Ok(())
}

/// Before any load: idle, and with a thousand connections that were used once.
fn memory_at_rest(proxy: &Proxy) -> anyhow::Result<Memory> {
    const IDLE: usize = 1000;
    let idle = account::memory(proxy.plain.process)?;
    let mut callers = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut caller = Caller::to(&proxy.plain)?;
        caller.get("/1k")?;
        callers.push(caller);
    }
    let grown = account::memory(proxy.plain.process)?.saturating_sub(idle);
    Ok(Memory { proxy: proxy.name.clone(), idle, per_connection: grown as f64 / IDLE as f64, after_load: 0 })
}

/// One connection, one request after the other; `direct` is without any proxy.
///
/// All share one core here: with two, most of the time would be spent on waking the other core, which in a virtual
/// machine takes longer than all of the work.
fn latencies(all: &[Proxy], direct: SocketAddr, cli: &Cli) -> anyhow::Result<Vec<Latency>> {
    for proxy in all {
        for pid in account::family(proxy.plain.process)? {
            let moved = Command::new("taskset").args(["-a", "-c", "-p", "1", &pid.to_string()]).output()?;
            ensure!(moved.status.success(), "cannot move {} to the second core", proxy.name);
        }
    }
    let mut measured: Vec<(String, Vec<(f64, f64)>)> = vec![("direct".to_owned(), Vec::new())];
    measured.extend(all.iter().map(|proxy| (proxy.name.clone(), Vec::new())));
    for round in 0..cli.rounds {
        for turn in 0..measured.len() {
            let index = (round + turn) % measured.len();
            let caller = match index {
                0 => Caller::open(direct, "", authorization())?,
                _ => Caller::to(&all[index - 1].plain)?,
            };
            let times = load::latencies(caller, 3000)?;
            let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e6;
            measured[index].1.push((at(50), at(99)));
        }
    }
    let latency = |(proxy, rounds): (String, Vec<(f64, f64)>)| {
        let of = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick)).unwrap_or_default();
        Latency { p50: of(|round| round.0), p99: of(|round| round.1), proxy }
    };
    Ok(measured.into_iter().map(latency).collect())
}
