use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::config;
use crate::oauth2::refresh_tokens::identity::Identity;
use crate::oauth2::refresh_tokens::record::StateRecord;
use crate::oauth2::refresh_tokens::registry::RefreshTokenRegistry;
use crate::oauth2::refresh_tokens::state_dir::StateDir;
use crate::oauth2::token::IssuedToken;
use crate::refresh::{ClockReading, Expiry};
use crate::secret::Secret;

const HOUR: Duration = Duration::from_secs(3600);

fn secret(text: &str) -> Secret {
    Secret::new(text.into()).unwrap()
}

fn issued(access_token: &str, refresh_token: Option<Secret>) -> TokenResponse {
    let expiry = Expiry::after(ClockReading::now(), HOUR);
    let access = Ok(IssuedToken { value: secret(access_token), expiry, scope: None });
    TokenResponse { access, refresh_token }
}

/// Rotates refresh tokens, and revokes the grant if a spent one is used again.
#[derive(Default)]
struct Provider {
    state: Mutex<ProviderState>,
}

#[derive(Default)]
struct ProviderState {
    issued: u32,
    current: Option<String>,
    spent: HashSet<String>,
    is_revoked: bool,
    requests: u32,
    /// What takes the place of the file that is to be written, while a request is answered.
    in_the_way: Option<PathBuf>,
}

impl Provider {
    fn starting_with(refresh_token: &str) -> Arc<Self> {
        let provider = Self::default();
        provider.state.lock().current = Some(refresh_token.into());
        Arc::new(provider)
    }

    fn requests(&self) -> u32 {
        self.state.lock().requests
    }

    /// From now on nothing can be written after a request; before it, there is space.
    fn fill_disk_during_requests(&self, folder: &TempDir) {
        self.state.lock().in_the_way = Some(file(folder).path().with_extension("new"));
    }

    fn free_disk(&self) {
        let path = self.state.lock().in_the_way.take().unwrap();
        fs::remove_dir(path).unwrap();
    }
}

/// A refresh-token grant with a seed.
struct Grant {
    provider: Arc<Provider>,
    duration: Duration,
}

#[async_trait]
impl TokenSource for Grant {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        tokio::time::sleep(self.duration).await;
        let sent = refresh_token.map_or("seed", Secret::expose).to_owned();
        let mut state = self.provider.state.lock();
        state.requests += 1;
        if let Some(path) = &state.in_the_way {
            let _ = fs::remove_file(path);
            let _ = fs::create_dir(path);
        }
        if state.spent.contains(&sent) {
            state.is_revoked = true;
        }
        if state.is_revoked || state.current.as_deref() != Some(&sent) {
            return Err(SourceError::new(SourceErrorKind::Refused, "invalid_grant"));
        }
        state.issued += 1;
        let (access, next) = (format!("access-{}", state.issued), format!("refresh-{}", state.issued));
        state.spent.insert(sent);
        state.current = Some(next.clone());
        Ok(issued(&access, Some(secret(&next))))
    }
}

/// A process: it has its own memory, and shares the folder.
fn process(folder: &TempDir, provider: &Arc<Provider>) -> PersistedSource<Grant> {
    process_with(folder, provider, None)
}

fn process_with(folder: &TempDir, provider: &Arc<Provider>, request: Option<&str>) -> PersistedSource<Grant> {
    let source = Grant { provider: provider.clone(), duration: Duration::from_millis(5) };
    let refresh_tokens = Arc::new(RefreshTokens::new(Some(file(folder))));
    let (service, request_fingerprint) = ("crm".into(), request.map(str::to_owned));
    PersistedSource {
        inner: source,
        refresh_tokens,
        service,
        requires_refresh_token: true,
        request_fingerprint,
        metrics: SharedTokenMetrics::default(),
    }
}

fn file(folder: &TempDir) -> StateFile {
    let (dir, key) = (folder.path().join("state"), secret("key"));
    let dir = StateDir::open(&config::State { dir, key, access_tokens: true }).unwrap();
    dir.file(&Identity::for_test("crm"))
}

fn value(issued: &TokenResponse) -> &str {
    issued.access.as_ref().unwrap().value.expose()
}

#[tokio::test]
async fn refresh_token_is_on_disk_before_its_access_token_is_used() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let mut last = 0;
    for number in 1..=5 {
        // Another process each time: the previous one was killed here.
        let issued = process(&folder, &provider).fetch().await.unwrap();
        assert_eq!(value(&issued), format!("access-{number}"));
        let saved = file(&folder).load().unwrap().unwrap();
        assert_eq!(saved.refresh_token, Some(secret(&format!("refresh-{number}"))));
        assert_eq!(saved.access_token, None, "not kept unless asked for");
        assert!(saved.serial > last);
        last = saved.serial;
    }
}

#[tokio::test]
async fn refresh_token_is_never_spent_twice_by_two_processes() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let processes: Vec<_> = (0..4).map(|_| Arc::new(process(&folder, &provider))).collect();
    let fetching: Vec<_> = (0..40)
        .map(|number| {
            let process = processes[number % 4].clone();
            tokio::spawn(async move { process.fetch().await })
        })
        .collect();
    for fetched in fetching {
        fetched.await.unwrap().unwrap();
    }
    assert_eq!(provider.requests(), 40);
    assert!(!provider.state.lock().is_revoked);
}

#[tokio::test]
async fn refresh_token_that_was_not_written_is_written_later() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let process = process(&folder, &provider);
    process.fetch().await.unwrap();
    let risk = process.risk().unwrap();
    provider.fill_disk_during_requests(&folder);
    for number in 2..=4 {
        assert_eq!(value(&process.fetch().await.unwrap()), format!("access-{number}"));
        assert!(risk.get().unwrap().contains("in memory only"), "{risk:?}");
    }
    let saved = file(&folder).load().unwrap().unwrap();
    assert_eq!(saved.refresh_token, Some(secret("refresh-1")), "the file is unchanged");
    provider.free_disk();
    process.refresh_tokens.retry_write("crm").await.unwrap();
    let saved = file(&folder).load().unwrap().unwrap();
    assert_eq!((saved.refresh_token, risk.get()), (Some(secret("refresh-4")), None));
}

#[tokio::test]
async fn refresh_token_is_not_spent_without_space_for_the_next() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let process = process(&folder, &provider);
    process.fetch().await.unwrap();
    let in_the_way = file(&folder).path().with_extension("new");
    fs::create_dir(&in_the_way).unwrap();
    let error = process.fetch().await.unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Local);
    assert!(
        error.message.contains("cannot write the state file") && error.message.contains("not spent"),
        "{error}"
    );
    assert_eq!(provider.requests(), 1);
    let risk = process.risk().unwrap();
    assert!(risk.get().unwrap().contains("state.dir cannot be written"), "{risk:?}");
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(value(&process.fetch().await.unwrap()), "access-2");
    assert_eq!(risk.get(), None);
}

#[tokio::test]
async fn reserved_space_is_given_back_after_a_failed_request() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("another"));
    let process = process(&folder, &provider);
    assert_eq!(process.fetch().await.unwrap_err().kind, SourceErrorKind::Refused);
    assert!(!file(&folder).path().with_extension("new").exists());
}

#[tokio::test(start_paused = true)]
async fn lock_is_held_while_a_refresh_token_is_unwritten() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let (running, other) = (process(&folder, &provider), process(&folder, &provider));
    running.fetch().await.unwrap();
    provider.fill_disk_during_requests(&folder);
    running.fetch().await.unwrap();
    let error = other.fetch().await.unwrap_err();
    assert!(error.message.contains("another process has held"), "{error}");
    assert_eq!(provider.requests(), 2, "the spent refresh token on disk is not sent");
    assert_eq!(value(&running.fetch().await.unwrap()), "access-3", "its holder continues");
    provider.free_disk();
    running.refresh_tokens.retry_write("crm").await.unwrap();
    assert_eq!(value(&other.fetch().await.unwrap()), "access-4");
    assert_eq!(value(&running.fetch().await.unwrap()), "access-5");
    assert!(!provider.state.lock().is_revoked);
}

#[tokio::test]
async fn new_login_is_used_after_a_refresh_token_was_unwritten() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let running = process(&folder, &provider);
    running.fetch().await.unwrap();
    provider.fill_disk_during_requests(&folder);
    running.fetch().await.unwrap();
    provider.free_disk();
    running.refresh_tokens.retry_write("crm").await.unwrap();

    let waiting = tokio::time::timeout(Duration::from_secs(2), running.changed());
    assert!(waiting.await.is_err(), "its own write is not a login");
    provider.state.lock().current = Some("from-login".into());
    let file = file(&folder);
    let lock = file.lock().await.unwrap();
    file.save(&lock, &StateRecord::login(secret("from-login"))).unwrap();
    drop(lock);
    tokio::time::timeout(Duration::from_secs(10), running.changed()).await.unwrap();
    running.fetch().await.unwrap();
    assert!(!provider.state.lock().is_revoked);
    let saved = file.load().unwrap().unwrap();
    assert_eq!(saved.refresh_token, Some(secret("refresh-3")));
    assert!(saved.login.is_some(), "the same login");
}

#[tokio::test]
async fn kept_access_token_replaces_one_request_after_a_restart() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let start = |request| process_with(&folder, &provider, Some(request));
    let first = start("one");
    assert_eq!(value(&first.fetch().await.unwrap()), "access-1");
    let restarted = start("one");
    assert_eq!(value(&restarted.fetch().await.unwrap()), "access-1");
    assert_eq!(provider.requests(), 1);
    assert_eq!(value(&restarted.fetch().await.unwrap()), "access-2", "a refresh is a request");
    assert_eq!(value(&start("another secret").fetch().await.unwrap()), "access-3");

    let saved = file(&folder).load().unwrap().unwrap();
    let nearly_over = AccessTokenRecord {
        expires: SystemTime::now() + HOUR / 5,
        request: "one".into(),
        ..saved.access_token.clone().unwrap()
    };
    let file = file(&folder);
    let lock = file.lock().await.unwrap();
    file.save(&lock, &StateRecord { access_token: Some(nearly_over), ..saved }).unwrap();
    drop(lock);
    assert_eq!(value(&start("one").fetch().await.unwrap()), "access-4");
}

#[tokio::test]
async fn state_file_of_another_key_is_an_error_and_stays() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    process(&folder, &provider).fetch().await.unwrap();
    let path = file(&folder).path().to_owned();
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.clone();
    bytes[16] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let running = process(&folder, &provider);
    let error = running.fetch().await.unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Local);
    assert!(error.message.contains("encrypted with another key"), "{error}");
    assert_eq!((fs::read(&path).unwrap(), provider.requests()), (bytes, 1));
    fs::write(&path, &whole).unwrap();
    assert_eq!(value(&running.fetch().await.unwrap()), "access-2", "repaired while it runs");
}

#[tokio::test]
async fn state_file_that_is_damaged_is_quarantined() {
    let (folder, provider) = (TempDir::new().unwrap(), Provider::starting_with("seed"));
    let path = file(&folder).path().to_owned();
    fs::write(&path, "not ours").unwrap();
    process(&folder, &provider).fetch().await.unwrap();
    let names = fs::read_dir(path.parent().unwrap()).unwrap();
    let aside =
        names.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().contains(".broken-"));
    assert_eq!(fs::read(aside.unwrap()).unwrap(), b"not ours");
    assert!(file(&folder).load().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn shut_down_waits_for_a_request_and_prevents_others() {
    let provider = Provider::starting_with("seed");
    let registry = RefreshTokenRegistry::default();
    let refresh_tokens = Arc::new(RefreshTokens::new(None));
    registry.insert_for_test(Identity::for_test("crm"), refresh_tokens.clone());
    let source = Grant { provider: provider.clone(), duration: Duration::from_secs(8) };
    let (service, metrics) = ("crm".into(), SharedTokenMetrics::default());
    let running = Arc::new(PersistedSource {
        inner: source,
        refresh_tokens,
        service,
        requires_refresh_token: true,
        request_fingerprint: None,
        metrics,
    });
    let fetching = tokio::spawn({
        let running = running.clone();
        async move { running.fetch().await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = tokio::time::Instant::now();
    registry.shut_down().await;
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    assert_eq!(value(&fetching.await.unwrap().unwrap()), "access-1");
    assert!(running.fetch().await.is_err());
    assert_eq!(provider.requests(), 1);
}
