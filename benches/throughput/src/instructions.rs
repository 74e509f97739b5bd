//! Instructions that Sidekey itself executes for one request, the kernel's not included, counted by callgrind: the same
//! on every run and every machine with the same build, so that a small change can be seen.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;

use crate::load::{Caller, wait_for};
use crate::proxies::{Process, World, free_address, sidekey_config};

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

fn run(world: &World, prefix: &'static str, requests: usize) -> anyhow::Result<u64> {
    let listen: SocketAddr = free_address()?;
    let (config, out) = (sidekey_config(world, listen)?, world.dir.join("callgrind.out"));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
    command.arg(&world.sidekey).args(["run", "--config", &config]);
    let process = Process::start(&mut command, &world.dir)?;
    let target = crate::proxies::Target { process: process.id(), address: listen, prefix };
    wait_for(&target).context("valgrind (Debian: apt-get install valgrind)")?;
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
