//! Simulated days in a world of faults, at paused time: how often a promise about credentials is broken, which must be never.
//!
//! ```text
//! tokens    the token store, its refresher and its signer
//! endpoint  the token endpoint of that world
//! rotation  a secret with a previous one
//! promises  what must not happen, counted
//! ```
//!
//! Every random number comes from one seed, which a failure prints. `SIDEKEY_CHAOS_SEED` repeats a run, and `SIDEKEY_CHAOS_DAYS` makes it
//! longer: `SIDEKEY_CHAOS_DAYS=1000 cargo test --lib chaos`.

mod endpoint;
mod promises;
mod rotation;
mod tokens;

use std::env;
use std::time::Duration;

use httparse::Header;

use super::{ForwardedFields, Injection, NotReady, OutboundBody, OutboundRequest, Signer, UpstreamResponse};
use crate::credential::CredentialVersion;

const DAY: Duration = Duration::from_secs(86_400);
/// Seeds of the ordinary suite.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Simulated days of each seed.
const DAYS: u32 = 4;

/// Runs a simulation with each seed.
fn with_seeds(run: impl Fn(u64, Duration)) {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let days = number("SIDEKEY_CHAOS_DAYS").map_or(DAYS, |days| days.try_into().expect("a number of days"));
    match number("SIDEKEY_CHAOS_SEED") {
        Some(seed) => run(seed, DAY * days),
        None => SEEDS.into_iter().for_each(|seed| run(seed, DAY * days)),
    }
}

/// A runtime whose clock is paused: it goes on whenever there is nothing to do.
fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}

/// Signs a request as the data plane does. Returns the value that was written into `Authorization`; `None` if nothing was.
fn sign(
    signer: &dyn Signer,
    after: Option<CredentialVersion>,
) -> Result<(CredentialVersion, Option<String>), NotReady> {
    let request = OutboundRequest {
        method: "GET",
        origin: "https://api.example.com",
        authority: "api.example.com",
        base_path: "",
        path: "/x",
        query: None,
        fields: ForwardedFields::of(&[], signer.owned()),
        body: OutboundBody::Empty,
        after,
        may_probe: true,
        subject: None,
    };
    let mut injection = Injection::default();
    let version = signer.sign(&request, &mut injection)?;
    let value = injection.fields.first().map(|(_, value)| value.to_str().expect("text").to_owned());
    Ok((version, value))
}

fn response(status: u16, is_retry: bool) -> UpstreamResponse<'static> {
    const NONE: &[Header<'static>] = &[];
    UpstreamResponse { origin: "https://api.example.com", status, fields: NONE, is_retry, can_retry: true }
}
