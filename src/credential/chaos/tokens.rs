//! Tokens: the store, its refresher and its signer, with requests, faults, rotated secrets, reloads and clocks that are set.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::endpoint::{Endpoint, MIN_FORCED_INTERVAL, World};
use super::{response, sign};
use crate::clock::test_clock;
use crate::config::auth::placement::Placement;
use crate::credential::{Signer, Token, Verdict};
use crate::oauth2::TokenStore;
use crate::refresh::{RefreshReason, Store, refresher};
use crate::simulation::{paused, with_seeds};

/// How long a request waits for a token.
const TOKEN_WAIT: Duration = Duration::from_secs(5);

/// A credential in use: what a reload replaces if it has changed.
struct Credential {
    store: Arc<TokenStore>,
    signer: Token,
    refresher: AbortHandle,
}

impl Credential {
    fn start(world: &Arc<Mutex<World>>) -> Self {
        let incarnation = world.lock().next_incarnation();
        let store = Arc::new(Store::new(MIN_FORCED_INTERVAL));
        let endpoint = Endpoint { world: world.clone(), incarnation, is_asked: Mutex::default() };
        let running = tokio::spawn(refresher::run("chaos".into(), Arc::new(endpoint), store.clone()));
        Self {
            signer: Token::new(store.clone(), &Placement::bearer()),
            store,
            refresher: running.abort_handle(),
        }
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        self.refresher.abort();
    }
}

/// One request, as the data plane makes it (`proxy::request`).
async fn request(world: &Mutex<World>, signer: &dyn Signer) {
    let mut attempt = sign(signer, None);
    if attempt.is_err() {
        signer.wait_until_ready(TOKEN_WAIT).await;
        attempt = sign(signer, None);
    }
    let Ok((used, value)) = attempt else { return world.lock().unserved() };
    let status = if world.lock().accepts(value.as_deref()) { 200 } else { 401 };
    if signer.observe(used, &response(status, false)) != Verdict::Refresh {
        return;
    }
    if signer.refreshed(used, None, TOKEN_WAIT).await
        && let Ok((used, value)) = sign(signer, Some(used))
    {
        let status = if world.lock().accepts(value.as_deref()) { 200 } else { 401 };
        let verdict = signer.observe(used, &response(status, true));
        if verdict != Verdict::Pass {
            world.lock().promises.broken("a request is retried once", || format!("{verdict:?}"));
        }
    }
}

/// One event of the world.
async fn event(world: &Arc<Mutex<World>>, credential: &mut Credential) {
    let choice = world.lock().random.u32(0..1000);
    match choice {
        0..12 => world.lock().change_mood(),
        40..45 => world.lock().rotate_secret(),
        45..60 => {
            world.lock().reload_secret();
            credential.store.refresh_now(RefreshReason::InputChanged);
        }
        60..62 => *credential = Credential::start(world),
        62..65 => world.lock().revoke_all(),
        65..70 => {
            let rejects_all = world.lock().random.bool();
            world.lock().rejects_all = rejects_all;
        }
        70..74 => {
            world.lock().allow_early_request();
            credential.store.refresh_now(RefreshReason::Requested);
        }
        74..78 => {
            // The machine sleeps, or a clock is set: forward, and back at most as far as it is ahead.
            let mut world = world.lock();
            let seconds = world.random.i64(-1800..7200);
            test_clock::set_forward(seconds.max(-test_clock::ahead()));
            world.clock_set();
        }
        78..90 => {
            let many = (0..20).map(|_| request(world, &credential.signer));
            join_all(many).await;
        }
        _ => request(world, &credential.signer).await,
    }
}

async fn run(seed: u64, duration: Duration) {
    fastrand::seed(seed);
    let _clock = test_clock::start();
    let world = Arc::new(Mutex::new(World::new(seed)));
    let mut credential = Credential::start(&world);
    let start = Instant::now();
    while start.elapsed() < duration {
        event(&world, &mut credential).await;
        let pause = {
            let mut world = world.lock();
            // Mostly seconds, and an hour of silence now and then.
            let longest = if world.random.u32(0..100) == 0 { 3_600_000 } else { 30_000 };
            Duration::from_millis(world.random.u64(0..longest))
        };
        tokio::time::sleep(pause).await;
    }
    let needed =
        [("requests", 1000), ("token requests", 100), ("faults", 20), ("rotations", 5), ("reloads", 2)];
    let rare = [("revocations", 2), ("clocks set", 3), ("answers without a token", 10)];
    world.lock().promises.assert_kept(seed, &[&needed[..], &rare[..]].concat());
}

#[test]
fn days_of_faults_break_no_promise_of_tokens() {
    with_seeds(|seed, duration| paused().block_on(run(seed, duration)));
}
