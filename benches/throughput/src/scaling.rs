//! Sidekey alone with one worker and with two. Load and upstream share the two cores with it here, so that the rate cannot double;
//! what tells whether workers stand in each other's way is the CPU time of a request.

use crate::cases::CONCURRENCY;
use crate::load::{self, Style};
use crate::proxies::{self, Kind};
use crate::report::median;
use crate::{Cli, account, proxies::World};

/// What so many workers did.
pub struct Scaling {
    pub workers: usize,
    pub cpu_micros: f64,
    pub requests_per_second: f64,
}

/// GET 1 KB, the two taking turns.
pub fn measure(cli: &Cli, world: &World) -> anyhow::Result<Vec<Scaling>> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
    let requests = (40_000.0 * cli.scale) as usize;
    let style =
        Style { connections: CONCURRENCY, streams: None, body_file: None, is_grpc: false, threads: 2 };
    let mut both = Vec::new();
    for workers in [1, 2] {
        let proxy = proxies::start_workers(world, workers)?;
        load::wait_for(Kind::Plain, proxy.plain(), &world.ca_file())?;
        load::run(proxy.plain(), "/1k", requests / 5, style)?;
        both.push((workers, proxy, Vec::new()));
    }
    for _ in 0..cli.rounds {
        for (_, proxy, rounds) in &mut both {
            let process = proxy.plain().process;
            let before = account::cpu(process)?;
            let rate = load::run(proxy.plain(), "/1k", requests, style)?;
            let cpu = account::cpu(process)?.saturating_sub(before);
            rounds.push((cpu.as_secs_f64() * 1e6 / requests as f64, rate));
        }
    }
    let scaling = |(workers, _, rounds): (usize, _, Vec<(f64, f64)>)| Scaling {
        workers,
        cpu_micros: median(rounds.iter().map(|round| round.0)).unwrap_or_default(),
        requests_per_second: median(rounds.iter().map(|round| round.1)).unwrap_or_default(),
    };
    Ok(both.into_iter().map(scaling).collect())
}
