//! All measurements of a run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::cases::{self, Case};
use crate::load::{self, Caller, Style};
use crate::paced::Pace;
use crate::proxies::{self, Kind, Proxy, Target, World};
use crate::reload::Reloading;
use crate::report::{Latency, Memory, Paced, Run, Sample, Steady, median};
use crate::{Cli, account, authorization, idle, paced, scaling, system_calls};

/// Starts every proxy, checks it, and measures.
pub fn run(cli: &Cli, world: &World) -> anyhow::Result<Run> {
    let wants = |name: &str| cli.cases.is_empty() || cli.cases.iter().any(|own| own == name);
    let starts = if wants("start") { starts(cli, world)? } else { HashMap::new() };
    let mut all = Vec::new();
    for name in &cli.proxies {
        let proxy = start(name, world)?;
        eprintln!("{name} {} replaces a caller's Authorization", proxy.version);
        all.push(proxy);
    }
    let cases: Vec<&Case> = cases::ALL.iter().filter(|case| wants(case.name)).collect();
    let mut run = Run {
        proxies: all.iter().map(|proxy| (proxy.name.clone(), proxy.version.clone())).collect(),
        cases: cases.iter().map(|case| case.name).collect(),
        rounds: cli.rounds,
        samples: Vec::new(),
        latencies: Vec::new(),
        paced: Vec::new(),
        steady: Vec::new(),
        memory: Vec::new(),
        starts,
        scaling: if wants("workers") { scaling::measure(cli, world)? } else { Vec::new() },
    };
    if wants("memory") {
        run.memory = all.iter().map(|proxy| memory_at_rest(proxy, world)).collect::<anyhow::Result<_>>()?;
    }
    for case in &cases {
        measure(case, &all, cli, world, &mut run.samples)?;
    }
    for memory in &mut run.memory {
        let proxy = all.iter().find(|proxy| proxy.name == memory.proxy).expect("measured before");
        memory.after_load = account::memory(proxy.plain().process)?;
    }
    if wants("memory") {
        for memory in &mut run.memory {
            // The small proxies and Caddy would need hundreds of megabytes for nothing that is compared.
            if ["sidekey", "nginx", "haproxy", "envoy"].contains(&memory.proxy.as_str()) {
                let proxy = all.iter().find(|proxy| proxy.name == memory.proxy).expect("measured before");
                memory.ten_thousand = Some(ten_thousand(proxy)?);
            }
        }
    }
    if wants("paced") {
        run.paced = paced_latencies(&all, cli)?;
        run.steady = steady(&all)?;
    }
    if wants("latency") {
        run.latencies = latencies(&all, world, cli)?;
    }
    Ok(run)
}

/// Starts a proxy, which must put its own credential in place of the caller's in every way that it has.
fn start(name: &str, world: &World) -> anyhow::Result<Proxy> {
    let proxy = proxies::start(name, world)?;
    for (kind, target) in proxy.targets() {
        load::wait_for(kind, target, &world.ca_file()).with_context(|| {
            format!(
                "{name} ({kind:?}) does not put its own credential in place of the caller's; it says:\n{}",
                proxy.said()
            )
        })?;
    }
    Ok(proxy)
}

/// Milliseconds from being started to the first answer, the process that does HTTP/1.1 on both sides.
fn starts(cli: &Cli, world: &World) -> anyhow::Result<HashMap<String, f64>> {
    let mut medians = HashMap::new();
    for name in &cli.proxies {
        let mut times = Vec::new();
        for _ in 0..cli.rounds {
            let begun = Instant::now();
            let proxy = proxies::start_plain(name, world)?;
            load::wait_for(Kind::Plain, proxy.plain(), &world.ca_file())?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        medians.insert(name.clone(), median(times.into_iter()).unwrap_or_default());
    }
    Ok(medians)
}

/// All rounds of one case, each proxy in its turn, and another one first in every round.
fn measure(
    case: &Case,
    all: &[Proxy],
    cli: &Cli,
    world: &World,
    samples: &mut Vec<Sample>,
) -> anyhow::Result<()> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
    let requests = (case.requests as f64 * cli.scale) as usize;
    ensure!(requests > case.at_once, "--scale is too small");
    let body_file = world.dir.join("body");
    let mut content = vec![b'x'; case.body];
    if case.is_grpc() {
        content[..5].copy_from_slice(&[0, 0, 0, 0, 100]);
    }
    std::fs::write(&body_file, content)?;
    let style = Style {
        connections: if case.kind.is_h2() { case.at_once / 8 } else { case.at_once },
        streams: case.kind.is_h2().then_some(8),
        body_file: (case.body > 0).then(|| body_file.to_str().expect("a path made here")),
        is_grpc: case.is_grpc(),
        threads: 1,
    };
    let able: Vec<(&Proxy, &Target)> =
        all.iter().filter_map(|proxy| Some((proxy, proxy.target(case.kind)?))).collect();
    let load = |target: &Target, requests: usize| {
        if case.kind == Kind::CallerTls {
            load::new_tls(target, &world.ca_file(), requests)
        } else {
            load::run(target, case.path, requests, style)
        }
    };
    for (_, target) in &able {
        load(target, (requests / 5).max(case.at_once))?;
    }
    let mut calls = HashMap::new();
    if cli.cases.is_empty() || cli.cases.iter().any(|own| own == "system-calls") {
        for (proxy, target) in &able {
            match system_calls::count(target.process, &world.dir, || load(target, requests)) {
                Ok(counted) => _ = calls.insert(proxy.name.clone(), counted as f64 / requests as f64),
                Err(error) => eprintln!("{}: system calls are not counted: {error}", case.name),
            }
        }
    }
    for round in 0..cli.rounds {
        for turn in 0..able.len() {
            let (proxy, target) = able[(round + turn) % able.len()];
            let reloading = (case.kind == Kind::Reloaded)
                .then(|| Reloading::start(&world.dir, target.process))
                .transpose()?;
            let handshakes = || case.opens_connections().then(|| load::handshakes(world.plain)).transpose();
            let (before, earlier) = (account::cpu(target.process)?, handshakes()?);
            let requests_per_second = load(target, requests)?;
            let cpu = account::cpu(target.process)?.saturating_sub(before);
            drop(reloading);
            let cpu_micros = cpu.as_secs_f64() * 1e6 / requests as f64;
            samples.push(Sample {
                proxy: proxy.name.clone(),
                case: case.name,
                cpu_micros,
                requests_per_second,
                system_calls: calls.get(&proxy.name).copied(),
                resumed: earlier.zip(handshakes()?).map(|(earlier, later)| {
                    (later.1 - earlier.1) as f64 / (later.0 - earlier.0).max(1) as f64
                }),
            });
        }
        eprintln!("{}: round {} of {}", case.name, round + 1, cli.rounds);
    }
    Ok(())
}

/// Before any load: idle, and with a thousand idle callers.
fn memory_at_rest(proxy: &Proxy, world: &World) -> anyhow::Result<Memory> {
    let idle = account::memory(proxy.plain().process)?;
    Ok(Memory {
        proxy: proxy.name.clone(),
        idle,
        per_caller: idle::measure(proxy, world)?,
        after_load: 0,
        ten_thousand: None,
    })
}

/// After the load: with ten thousand connections, each used once and used again when all are there.
fn ten_thousand(proxy: &Proxy) -> anyhow::Result<u64> {
    // HAProxy's own limit on file descriptors leaves it 9,900.
    let count = if proxy.name == "haproxy" { 9_800 } else { 10_000 };
    let mut callers = callers(proxy, count)?;
    let memory = account::memory(proxy.plain().process)?;
    for caller in &mut callers {
        caller.get("/1k")?;
    }
    Ok(memory)
}

fn callers(proxy: &Proxy, count: usize) -> anyhow::Result<Vec<Caller>> {
    let mut callers = Vec::with_capacity(count);
    for number in 0..count {
        let mut caller = Caller::to(proxy.plain())?;
        caller.get("/1k").with_context(|| format!("{}: connection {number}", proxy.name))?;
        callers.push(caller);
    }
    Ok(callers)
}

/// One connection, one request after the other; `direct` is without any proxy.
///
/// All share one core here: with two, most of the time would be spent on waking the other core, which in a virtual
/// machine takes longer than all of the work.
fn latencies(all: &[Proxy], world: &World, cli: &Cli) -> anyhow::Result<Vec<Latency>> {
    for (proxy, target) in
        all.iter().flat_map(|proxy| proxy.targets().map(move |(_, target)| (proxy, target)))
    {
        for pid in account::family(target.process)? {
            let moved = Command::new("taskset").args(["-a", "-c", "-p", "1", &pid.to_string()]).output()?;
            ensure!(moved.status.success(), "cannot move {} to the second core", proxy.name);
        }
    }
    let mut ways: Vec<Way<'_>> =
        vec![Way { name: "direct".to_owned(), direct: Some(world.plain), target: None }];
    for proxy in all {
        let mut way = |name: String, kind| {
            if let Some(target) = proxy.target(kind) {
                ways.push(Way { name, direct: None, target: Some((kind, target)) });
            }
        };
        way(proxy.name.clone(), Kind::Plain);
        way(format!("{}, a new token each second", proxy.name), Kind::Renewed);
        way(format!("{}, reloaded twice a second", proxy.name), Kind::Reloaded);
    }
    let mut measured = vec![Vec::new(); ways.len()];
    for round in 0..cli.rounds {
        for turn in 0..ways.len() {
            let index = (round + turn) % ways.len();
            measured[index].push(ways[index].measure(world)?);
        }
        eprintln!("latency: round {} of {}", round + 1, cli.rounds);
    }
    let latency = |(way, rounds): (Way<'_>, Vec<[f64; 3]>)| {
        let of = |at: usize| median(rounds.iter().map(|round| round[at])).unwrap_or_default();
        Latency { proxy: way.name, p50: of(0), p99: of(1), p999: of(2) }
    };
    Ok(ways.into_iter().zip(measured).map(latency).collect())
}

struct Way<'a> {
    name: String,
    direct: Option<SocketAddr>,
    target: Option<(Kind, &'a Target)>,
}

impl Way<'_> {
    /// p50, p99 and p99.9 in microseconds.
    fn measure(&self, world: &World) -> anyhow::Result<[f64; 3]> {
        let (caller, reloading) = match (self.direct, self.target) {
            (Some(address), _) => (Caller::open(address, "", authorization())?, None),
            (None, Some((kind, target))) => {
                let reloading =
                    (kind == Kind::Reloaded).then(|| Reloading::start(&world.dir, target.process));
                (Caller::to(target)?, reloading.transpose()?)
            }
            (None, None) => unreachable!("one of the two"),
        };
        // Long enough for two tokens and four reloads.
        let times = load::latencies(caller, 100_000)?;
        drop(reloading);
        let at = |part: usize| times[times.len() * part / 1000].as_secs_f64() * 1e6;
        Ok([at(500), at(990), at(999)])
    }
}

/// Latency at several connections, and at half the rate that 64 connections reach.
fn paced_latencies(all: &[Proxy], cli: &Cli) -> anyhow::Result<Vec<Paced>> {
    const WAYS: [(&str, usize, bool); 4] = [
        ("16 connections", 16, false),
        ("64 connections", 64, false),
        ("256 connections", 256, false),
        ("half of the maximum, 64 connections, open loop", 64, true),
    ];
    let duration = Duration::from_secs(2);
    let closed = |connections| Pace { connections, rate: None, duration };
    let mut halves = Vec::new();
    for proxy in all {
        halves.push(paced::run(proxy.plain(), closed(64))?.rate / 2.0);
    }
    // The same rate for all, so that they do the same work.
    let half = halves.into_iter().min_by(f64::total_cmp).context("no proxy")?;
    let mut measured = Vec::new();
    for (way, connections, is_open) in WAYS {
        let pace = Pace { rate: is_open.then_some(half), ..closed(connections) };
        let mut rounds: Vec<Vec<[f64; 2]>> = vec![Vec::new(); all.len()];
        for round in 0..cli.rounds {
            for turn in 0..all.len() {
                let index = (round + turn) % all.len();
                let latencies = paced::run(all[index].plain(), pace)?;
                rounds[index].push([latencies.micros(500), latencies.micros(990)]);
            }
            eprintln!("{way}: round {} of {}", round + 1, cli.rounds);
        }
        for (proxy, rounds) in all.iter().zip(rounds) {
            let of = |at: usize| median(rounds.iter().map(|round| round[at])).unwrap_or_default();
            measured.push(Paced { proxy: proxy.name.clone(), way, p50: of(0), p99: of(1) });
        }
    }
    Ok(measured)
}

/// The shape that Istio publishes: 1,000 requests of 1 KB per second on 16 connections, with an upstream over TLS.
fn steady(all: &[Proxy]) -> anyhow::Result<Vec<Steady>> {
    const DURATION: Duration = Duration::from_secs(10);
    let mut measured = Vec::new();
    for proxy in all {
        let Some(target) = proxy.target(Kind::Tls) else { continue };
        let before = account::cpu(target.process)?;
        paced::run(target, Pace { connections: 16, rate: Some(1000.0), duration: DURATION })?;
        let cpu = account::cpu(target.process)?.saturating_sub(before);
        measured.push(Steady {
            proxy: proxy.name.clone(),
            cores: cpu.as_secs_f64() / DURATION.as_secs_f64(),
            memory: account::memory(target.process)?,
        });
    }
    Ok(measured)
}
