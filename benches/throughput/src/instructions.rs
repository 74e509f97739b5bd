//! Instructions that Sidekey itself executes for one request, the kernel's not included, counted by callgrind: the same
//! on every run and every machine with the same build, so that a small change can be seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::load::{Caller, wait_for};
use crate::proxies::{Kind, Process, World, free_address, sidekey_config};

const REQUESTS: usize = 2000;

/// Instructions per request of each service; what starting and stopping takes is in both of two runs, and so in neither
/// result.
pub fn count(world: &World) -> anyhow::Result<Vec<(&'static str, u64)>> {
    ["/plain", "/oauth2", "/tls"]
        .into_iter()
        .map(|prefix| {
            let (once, twice) = (run(world, prefix, REQUESTS)?, run(world, prefix, 2 * REQUESTS)?);
            Ok((prefix, twice.saturating_sub(once) / REQUESTS as u64))
        })
        .collect()
}

/// Prints the counts; with a baseline, fails where one is more than 3 % above it.
pub fn report(counts: &[(&'static str, u64)], baseline: Option<&Path>) -> anyhow::Result<()> {
    for (service, count) in counts {
        println!("{service}: {count} instructions per request");
    }
    let Some(path) = baseline else { return Ok(()) };
    let now =
        json!({ "rustc": rustc()?, "instructions": counts.iter().copied().collect::<BTreeMap<_, _>>() });
    if !path.exists() {
        std::fs::write(path, serde_json::to_string_pretty(&now)? + "\n")?;
        println!("{} is written", path.display());
        return Ok(());
    }
    let then: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    // Another compiler makes another program: its counts can only be held to a wider limit.
    let is_same = then["rustc"] == now["rustc"];
    let limit = if is_same { 103 } else { 115 };
    if !is_same {
        println!(
            "the baseline is of {}, this is {}: the limit is 15 %, not 3 %",
            then["rustc"], now["rustc"]
        );
    }
    for (service, count) in counts {
        let before = then["instructions"][service].as_u64();
        let before = before.with_context(|| format!("{} has no {service}", path.display()))?;
        ensure!(
            count * 100 <= before * limit,
            "{service} takes {count} instructions per request, {before} before: find out why, or remove {} and \
             write it anew, saying why in the commit",
            path.display()
        );
    }
    Ok(())
}

fn rustc() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("cannot run rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn run(world: &World, prefix: &'static str, requests: usize) -> anyhow::Result<u64> {
    let listen: SocketAddr = free_address()?;
    let (config, out) = (sidekey_config(world, "sidekey", listen, None, 1)?, world.dir.join("callgrind.out"));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
    command.arg(&world.sidekey).args(["run", "--config", &config]);
    let process = Process::start(&mut command, &world.dir)?;
    let target = crate::proxies::Target { process: process.id(), address: listen, prefix };
    wait_for(Kind::Plain, &target, &world.ca_file())
        .context("valgrind (Debian: apt-get install valgrind)")?;
    let mut caller = Caller::to(&target)?;
    for _ in 0..requests {
        caller.get("/1k")?;
    }
    drop(caller);
    drop(process);
    let text = std::fs::read_to_string(out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.context("callgrind wrote no totals")?.trim().parse()?)
}
