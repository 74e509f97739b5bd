//! A store in memory. Each step is made as a whole, as a script is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::test_clock;
use crate::fleet::names::Names;
use crate::fleet::news::NewsRoom;
use crate::fleet::store::{Locked, SharedStore, StoreError, Stored, View, Write, Written};
use crate::refresh::ClockReading;

/// What a store has.
#[derive(Clone, Default)]
struct Content {
    /// Record, with its end.
    records: HashMap<String, (String, Vec<u8>, Option<Instant>)>,
    locks: HashMap<String, (String, Instant)>,
    spenders: HashMap<String, String>,
    failures: HashMap<String, (Vec<u8>, Instant)>,
}

/// The server.
pub(super) struct World {
    start: Instant,
    /// The wall clocks of all processes go on with the time of the test.
    _clock: test_clock::Guard,
    content: Mutex<Content>,
    is_down: AtomicBool,
    /// Counts connections that broke: every process connects again after one.
    breaks: Mutex<u64>,
    rooms: Mutex<Vec<Arc<NewsRoom>>>,
    /// Every step, by when it was made.
    pub(super) steps: Mutex<Vec<Duration>>,
    /// How many of them renewed a lock.
    pub(super) renewals: AtomicUsize,
}

/// The store as one process reaches it.
pub(super) struct MemoryStore {
    pub(super) world: Arc<World>,
    /// A process that was killed does nothing any more.
    is_dead: AtomicBool,
    stable: Mutex<(u64, Option<Instant>)>,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            _clock: test_clock::start(),
            content: Mutex::default(),
            is_down: AtomicBool::new(false),
            breaks: Mutex::default(),
            rooms: Mutex::default(),
            steps: Mutex::default(),
            renewals: AtomicUsize::new(0),
        })
    }

    pub(super) fn store(self: &Arc<Self>, room: &Arc<NewsRoom>) -> Arc<MemoryStore> {
        self.rooms.lock().push(room.clone());
        Arc::new(MemoryStore {
            world: self.clone(),
            is_dead: AtomicBool::new(false),
            stable: Mutex::default(),
        })
    }

    /// From now on nothing is answered.
    pub(super) fn go_down(&self) {
        self.is_down.store(true, Ordering::Relaxed);
    }

    /// Answers again. Every process notices it within two seconds, as its subscriber does.
    pub(super) fn come_up(self: &Arc<Self>) {
        self.is_down.store(false, Ordering::Relaxed);
        *self.breaks.lock() += 1;
        let rooms = self.rooms.lock().clone();
        for room in rooms {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(0..2000))).await;
                room.about_all();
            });
        }
    }

    /// Loses everything.
    pub(super) fn forget(&self) {
        *self.content.lock() = Content::default();
    }

    /// What it has, to go back to.
    pub(super) fn snapshot(&self) -> impl FnOnce(&Self) + use<> {
        let content = self.content.lock().clone();
        move |world| *world.content.lock() = content
    }

    /// Number of records.
    pub(super) fn records(&self) -> usize {
        self.content.lock().records.len()
    }

    /// The size of all records and their names, in bytes.
    pub(super) fn size(&self) -> usize {
        let content = self.content.lock();
        content
            .records
            .iter()
            .map(|(name, (generation, sealed, _))| name.len() + generation.len() + sealed.len())
            .sum()
    }

    /// Changes a byte of every record.
    pub(super) fn damage(&self) {
        for (_, sealed, _) in self.content.lock().records.values_mut() {
            *sealed.last_mut().expect("a record has bytes") ^= 1;
        }
    }

    fn tell(&self, names: &Names) {
        for room in self.rooms.lock().iter() {
            names.all().iter().for_each(|name| room.about(name));
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("a short test") + 1_000_000
    }
}

impl Content {
    fn expire(&mut self) {
        let now = Instant::now();
        self.records.retain(|_, (_, _, end)| end.is_none_or(|end| end > now));
        self.locks.retain(|_, (_, end)| *end > now);
        self.failures.retain(|_, (_, end)| *end > now);
    }

    fn view(&self, names: &Names, asked: ClockReading, now: u64) -> View {
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        let mut record: Option<Stored> = None;
        for (name, key) in names.all().iter().enumerate() {
            if let Some((generation, sealed, _)) = self.records.get(key)
                && record.as_ref().is_none_or(|record| number(generation) > number(&record.generation))
            {
                record = Some(Stored { name, generation: generation.clone(), sealed: sealed.clone() });
            }
        }
        let failure =
            |name: usize| self.failures.get(&names.all()[name]).map(|(sealed, _)| (name, sealed.clone()));
        let failure = match &record {
            Some(record) => failure(record.name),
            None => (0..names.all().len()).find_map(failure),
        };
        let spender = names.all().iter().find_map(|name| self.spenders.get(name)).cloned();
        View { now, asked, answered: Instant::now(), record, failure, spender }
    }

    fn put(&mut self, names: &Names, generation: &str, sealed: Vec<Vec<u8>>, keep: Option<Duration>) {
        for (name, sealed) in names.all().iter().zip(sealed) {
            let end = keep.map(|keep| Instant::now() + keep);
            self.records.insert(name.clone(), (generation.to_owned(), sealed, end));
            self.spenders.remove(name);
            self.failures.remove(name);
        }
    }

    fn is_held(&self, names: &Names, nonce: &str) -> Option<Duration> {
        let held =
            names.all().iter().filter_map(|name| self.locks.get(name)).find(|(holder, _)| holder != nonce);
        held.map(|(_, end)| end.saturating_duration_since(Instant::now()))
    }

    fn lock(&mut self, names: &Names, nonce: &str, lease: Duration) {
        for name in names.all() {
            self.locks.insert(name.clone(), (nonce.to_owned(), Instant::now() + lease));
        }
    }

    fn mark(&mut self, names: &Names, nonce: &str) {
        for name in names.all() {
            self.spenders.insert(name.clone(), nonce.to_owned());
        }
    }

    fn unlock(&mut self, nonce: &str) {
        self.locks.retain(|_, (holder, _)| holder != nonce);
        self.spenders.retain(|_, spender| spender != nonce);
    }
}

impl MemoryStore {
    /// The process is killed: nothing that it has begun goes on.
    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// The way to the store, the step, and the way back.
    async fn step<T>(&self, make: impl FnOnce(&mut Content, u64) -> T + Send) -> Result<T, StoreError> {
        self.travel().await?;
        self.world.steps.lock().push(self.world.start.elapsed());
        let done = {
            let mut content = self.world.content.lock();
            content.expire();
            make(&mut content, self.world.now())
        };
        self.travel().await?;
        let breaks = *self.world.breaks.lock();
        let mut stable = self.stable.lock();
        if stable.0 != breaks || stable.1.is_none() {
            *stable = (breaks, Some(Instant::now()));
        }
        Ok(done)
    }

    async fn travel(&self) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_micros(fastrand::u64(100..2000))).await;
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.world.is_down.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(1..1000))).await;
            self.stable.lock().1 = None;
            return Err(StoreError("it did not answer".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl SharedStore for MemoryStore {
    async fn read(&self, names: &Names) -> Result<View, StoreError> {
        let asked = ClockReading::now();
        self.step(|content, now| content.view(names, asked, now)).await
    }

    async fn lock(&self, names: &Names, nonce: &str, lease: Duration) -> Result<Locked, StoreError> {
        let asked = ClockReading::now();
        self.step(|content, now| {
            if let Some(left) = content.is_held(names, nonce) {
                return Locked::Held(left);
            }
            content.lock(names, nonce, lease);
            Locked::Acquired(content.view(names, asked, now))
        })
        .await
    }

    async fn renew(
        &self,
        names: &Names,
        nonce: &str,
        lease: Duration,
        spends: bool,
    ) -> Result<bool, StoreError> {
        self.world.renewals.fetch_add(1, Ordering::Relaxed);
        self.step(|content, _| {
            let is_mine = names.all().iter().all(|name| match content.locks.get(name) {
                Some((holder, _)) if holder != nonce => spends && content.spenders.get(name) != Some(holder),
                _ => true,
            });
            if is_mine {
                content.lock(names, nonce, lease);
            }
            if is_mine && spends {
                content.mark(names, nonce);
            }
            is_mine
        })
        .await
    }

    async fn is_current(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn mark(&self, names: &Names, nonce: &str) -> Result<bool, StoreError> {
        self.step(|content, _| {
            let is_mine = names
                .all()
                .iter()
                .all(|name| content.locks.get(name).is_some_and(|(holder, _)| holder == nonce));
            if is_mine {
                content.mark(names, nonce);
            }
            is_mine
        })
        .await
    }

    async fn write(&self, names: &Names, write: Write<'_>) -> Result<Written, StoreError> {
        let asked = ClockReading::now();
        let written = self
            .step(|content, now| {
                let view = content.view(names, asked, now);
                if view.generation() != write.expected {
                    return Written::Lost(view);
                }
                content.put(names, write.generation, write.sealed, write.keep);
                content.unlock(write.nonce);
                self.world.tell(names);
                Written::Done
            })
            .await?;
        Ok(written)
    }

    async fn restore(
        &self,
        names: &Names,
        generation: &str,
        sealed: Vec<Vec<u8>>,
        keep: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let asked = ClockReading::now();
        self.step(|content, now| {
            let view = content.view(names, asked, now);
            let number = |text: &str| text.parse::<u64>().unwrap_or_default();
            if view.record.is_some() && number(view.generation()) >= number(generation) {
                return false;
            }
            content.put(names, generation, sealed, keep);
            self.world.tell(names);
            true
        })
        .await
    }

    async fn fail(
        &self,
        names: &Names,
        nonce: &str,
        generation: &str,
        sealed: Vec<Vec<u8>>,
        keep: Duration,
    ) -> Result<(), StoreError> {
        let asked = ClockReading::now();
        self.step(|content, now| {
            if content.view(names, asked, now).generation() == generation {
                for (name, sealed) in names.all().iter().zip(sealed) {
                    content.failures.insert(name.clone(), (sealed, Instant::now() + keep));
                }
            }
            content.unlock(nonce);
            self.world.tell(names);
        })
        .await
    }

    async fn ask(&self, names: &Names) -> Result<(), StoreError> {
        self.step(|_, _| self.world.tell(names)).await
    }

    async fn release(&self, _: &Names, nonce: &str) -> Result<(), StoreError> {
        self.step(|content, _| content.unlock(nonce)).await
    }

    fn stable_for(&self) -> Duration {
        let (breaks, since) = *self.stable.lock();
        let is_current = breaks == *self.world.breaks.lock();
        since.filter(|_| is_current).map_or(Duration::ZERO, |since| since.elapsed())
    }
}
