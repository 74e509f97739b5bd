//! The watcher with real files, that are changed, broken, removed and mended: what runs is always what was valid last.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{ApplyConfig, InUse, ReloadReport};
use crate::config::{Config, LastGood, ServiceConfig};
use crate::credential::READERS;
use crate::metrics::Metrics;
use crate::secret::SecretCache;
use crate::simulation::{Promises, paused, with_seeds};
use crate::tls::reloadable::Reloaded;

const SERVICES: [&str; 3] = ["one", "two", "three"];
/// `reload.interval` of every configuration.
const INTERVAL: Duration = Duration::from_secs(3600);

/// What applies configurations: it keeps the last one.
struct Running(Mutex<Config>);

impl ApplyConfig for Running {
    fn apply(&self, config: Config) -> Result<ReloadReport, String> {
        let problems =
            config.problems.iter().map(|problem| (problem.subject.to_string(), problem.to_string()));
        let report = ReloadReport { problems: problems.collect(), ..ReloadReport::default() };
        *self.0.lock() = config;
        Ok(report)
    }

    fn last_good(&self) -> LastGood {
        self.0.lock().last_good()
    }

    fn reload_certificates(&self) -> Vec<Reloaded> {
        Vec::new()
    }
}

/// What is in the files of one service.
#[derive(Clone)]
struct Written {
    revision: u32,
    /// Whether its settings are wrong.
    is_wrong: bool,
    /// The content of its secret file; `None` if it is not there.
    secret: Option<String>,
}

impl Written {
    fn settings(&self) -> String {
        let wrong = if self.is_wrong { ", no_such_key: 1" } else { "" };
        format!("upstream: 'https://r{}.example.com'{wrong}", self.revision)
    }

    fn is_usable(&self) -> bool {
        !self.is_wrong && self.secret.as_ref().is_some_and(|secret| !secret.is_empty())
    }
}

struct World {
    folder: TempDir,
    services: BTreeMap<&'static str, Written>,
    /// Whether the main file is no YAML.
    is_broken: bool,
    /// What must run.
    expected: BTreeMap<&'static str, ServiceConfig>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let written = |name: &&'static str| {
            (*name, Written { revision: 0, is_wrong: false, secret: Some(format!("secret-of-{name}")) })
        };
        let services = SERVICES.iter().map(written).collect();
        let mut world = Self { folder, services, is_broken: false, expected: BTreeMap::new() };
        for name in SERVICES {
            world.write_secret(name);
        }
        world.write_main();
        world.expect();
        world
    }

    fn main(&self) -> std::path::PathBuf {
        self.folder.path().join("services.yaml")
    }

    fn text<'n>(&self, names: impl IntoIterator<Item = &'n &'static str>) -> String {
        let mut text = format!("reload: {{ interval: {}s }}\nservices:\n", INTERVAL.as_secs());
        for name in names {
            let (settings, secret) = (self.services[name].settings(), self.folder.path().join(name));
            let auth = format!("{{ type: bearer, token: {{ file: '{}' }} }}", secret.display());
            writeln!(text, "  {name}: {{ {settings}, auth: {auth} }}").expect("a text takes what is written");
        }
        text
    }

    /// Writes a file as an editor does: another one takes its place.
    fn replace(path: &Path, text: &str) {
        let new = path.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, path)).expect("a file that can be written");
    }

    fn write_main(&self) {
        let text = if self.is_broken { "services: [".to_owned() } else { self.text(&SERVICES) };
        Self::replace(&self.main(), &text);
    }

    fn write_secret(&self, name: &str) {
        let path = self.folder.path().join(name);
        match &self.services[name].secret {
            Some(secret) => Self::replace(&path, secret),
            None => drop(fs::remove_file(path)),
        }
    }

    /// Notes what must run once the files have been read: of each service what is written, if that can be used, or else what ran.
    fn expect(&mut self) {
        if self.is_broken {
            return;
        }
        for name in SERVICES.iter().filter(|name| self.services[**name].is_usable()) {
            let alone = Config::parse(&self.text([name]), "alone.yaml", READERS).expect("a valid service");
            self.expected.insert(name, alone.services.into_iter().next().expect("one service"));
        }
    }

    /// Changes something.
    fn disturb(&mut self, random: &mut Rng, promises: &mut Promises, number: u32) {
        let name = SERVICES[random.usize(0..SERVICES.len())];
        let service = self.services.get_mut(name).expect("a service");
        let event = match random.u32(0..8) {
            0..2 => {
                service.revision = number;
                "changed settings"
            }
            2 => {
                service.is_wrong = !service.is_wrong;
                "wrong settings, or their end"
            }
            3..5 => {
                service.secret = Some(format!("secret-{number}"));
                "changed secrets"
            }
            5 => {
                service.secret = random.bool().then(String::new);
                "secrets that cannot be used"
            }
            _ => {
                self.is_broken = !self.is_broken;
                "broken main files, or their end"
            }
        };
        promises.seen(event);
        self.write_secret(name);
        self.write_main();
        self.expect();
    }
}

async fn run(seed: u64, duration: Duration) {
    let (mut random, mut promises) = (Rng::with_seed(seed), Promises::default());
    let mut world = World::new();
    let (secrets, main) = (Arc::new(SecretCache::default()), world.main());
    let config = Config::load_usable(&main, &secrets, READERS, None).expect("a valid configuration");
    let in_use = InUse::of(&config);
    let running = Arc::new(Running(Mutex::new(config)));
    let metrics = Metrics::new(&Registry::new()).expect("metrics");
    let (reloader, watcher) = super::new(metrics.reload(), true);
    let cache = secrets.clone();
    let source = Box::new(move |last: &LastGood| Config::load_usable(&main, &cache, READERS, Some(last)));
    let watching = tokio::spawn(watcher.run(source, running.clone(), secrets, in_use));
    let (start, mut number) = (Instant::now(), 0);
    while start.elapsed() < duration {
        number += 1;
        world.disturb(&mut random, &mut promises, number);
        if random.u32(0..4) == 0 {
            let is_read = reloader.reload_now().await.is_ok();
            if is_read == world.is_broken {
                promises.broken("a reload says whether the main file could be read", String::new);
            }
            promises.seen("requested reloads");
        } else {
            // One comparison finds the change, the next ones that it does not change any more.
            tokio::time::sleep(INTERVAL + Duration::from_secs(1)).await;
        }
        for service in &running.0.lock().services {
            if world.expected[service.name.as_str()] != *service {
                let (name, upstream) = (&service.name, &service.upstream);
                promises
                    .broken("a service runs with what was valid last", || format!("{name} has {upstream:?}"));
            }
        }
        if running.0.lock().services.len() != SERVICES.len() {
            promises.broken("no service is lost", String::new);
        }
        let has_failed = reloader.status().failing.is_some();
        if has_failed != world.is_broken {
            promises.broken("the status says whether the main file can be read", || format!("{has_failed}"));
        }
    }
    watching.abort();
    promises.assert_kept(
        seed,
        &[
            ("changed settings", 5),
            ("wrong settings, or their end", 5),
            ("changed secrets", 5),
            ("secrets that cannot be used", 5),
            ("broken main files, or their end", 5),
            ("requested reloads", 5),
        ],
    );
}

#[test]
fn days_of_changed_files_break_no_promise_of_reload() {
    with_seeds(|seed, duration| paused().block_on(run(seed, duration)));
}
