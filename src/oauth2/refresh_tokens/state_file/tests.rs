use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::*;
use crate::config;
use crate::config::{BasicEncoding, ClientAuth, OAuth2};
use crate::oauth2::refresh_tokens::record::AccessTokenRecord;
use crate::oauth2::refresh_tokens::state_dir::StateDir;
use crate::secret::Secret;

fn secret(text: &str) -> Secret {
    Secret::new(text.into()).unwrap()
}

fn dir_with(folder: &TempDir, key: &str) -> Result<StateDir, StateError> {
    let dir = folder.path().join("state");
    StateDir::open(&config::State { dir, key: secret(key), access_tokens: true })
}

fn oauth2(client_id: &str) -> OAuth2 {
    let text = format!(
        "services: {{ a: {{ upstream: 'https://a.example', auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: 'https://login.example.com/token', client_id: '{client_id}', client_secret: CANARY, scopes: [read] }} }} }}"
    );
    let config = config::Config::parse(&text, "test", crate::credential::READERS).unwrap();
    config.services[0].auth.settings::<config::OAuth2>().unwrap().clone()
}

fn saved(refresh_token: &str) -> StateRecord {
    let access_token = AccessTokenRecord {
        value: secret("CANARY-access"),
        expires: UNIX_EPOCH + Duration::from_millis(1_767_225_600_250),
        lifetime: Duration::from_secs(3600),
        scope: Some("read".into()),
        request: "f00".into(),
    };
    StateRecord {
        refresh_token: Some(secret(refresh_token)),
        access_token: Some(access_token),
        login: None,
        serial: 7,
        generation: Some(4),
    }
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path().join("state")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn state_file_is_read_back_and_private_to_its_owner() {
    let folder = TempDir::new().unwrap();
    let file = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    assert_eq!(file.load().unwrap(), None);
    let before = file.version();
    let lock = file.lock().await.unwrap();
    file.save(&lock, &saved("CANARY-1")).unwrap();
    file.save(&lock, &saved("CANARY-2")).unwrap();
    assert_ne!(file.version(), before);
    assert_eq!(file.load().unwrap(), Some(saved("CANARY-2")));

    let again = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    assert_eq!(again.load().unwrap(), Some(saved("CANARY-2")));
    let bytes = fs::read(file.path()).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("CANARY"));
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let dir = fs::metadata(file.path().parent().unwrap()).unwrap();
    assert_eq!(dir.permissions().mode() & 0o777, 0o700);
    assert_eq!(names(&folder).len(), 2, "the file and its lock, nothing left over");
    assert!(!format!("{:?}", file.load().unwrap()).contains("CANARY"));
}

#[test]
fn state_file_does_not_depend_on_the_client_secret() {
    let one = Identity::of(&oauth2("crm"));
    let mut other = oauth2("crm");
    other.client_auth = ClientAuth::SecretPost { secret: secret("rotated") };
    assert_eq!(Identity::of(&other), one);
    other.scopes = vec!["re".into(), "ad".into()];
    assert_ne!(Identity::of(&other), one);
    assert_ne!(Identity::of(&oauth2("erp")), one);
}

#[test]
fn fingerprint_depends_on_the_configuration_and_the_key() {
    let folder = TempDir::new().unwrap();
    let dir = dir_with(&folder, "key").unwrap();
    let one = dir.fingerprint(&oauth2("crm"));
    assert_eq!(dir.fingerprint(&oauth2("crm")), one);
    let mut rotated = oauth2("crm");
    rotated.client_auth =
        ClientAuth::SecretBasic { secret: secret("new"), encoding: BasicEncoding::default() };
    assert_ne!(dir.fingerprint(&rotated), one);
    assert_ne!(dir_with(&folder, "other").unwrap().fingerprint(&oauth2("crm")), one);
}

#[tokio::test]
async fn state_file_that_is_unreadable_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let file = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    let lock = file.lock().await.unwrap();
    file.save(&lock, &saved("one")).unwrap();
    let whole = fs::read(file.path()).unwrap();

    let other_key = dir_with(&folder, "other").unwrap().file(&Identity::of(&oauth2("crm")));
    let error = other_key.load().unwrap_err().to_string();
    assert!(error.contains("encrypted with another key") && error.contains("state.key"), "{error}");
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    assert_eq!(fs::read(file.path()).unwrap(), whole, "reading changes nothing");

    for broken in [&whole[..whole.len() - 1], b"", b"something else"] {
        fs::write(file.path(), broken).unwrap();
        assert!(matches!(file.load(), Err(StateError::Unreadable { .. })));
        file.save(&lock, &saved("two")).unwrap();
        assert_eq!(file.load().unwrap(), Some(saved("two")));
        let kept = names(&folder).into_iter().filter(|name| name.contains(".broken-"));
        let kept: Vec<_> =
            kept.map(|name| fs::read(folder.path().join("state").join(name)).unwrap()).collect();
        assert!(kept.contains(&broken.to_vec()), "quarantined unchanged");
        std::thread::sleep(Duration::from_millis(2));
    }
    other_key.save(&lock, &saved("three")).unwrap();
    assert_eq!(names(&folder).iter().filter(|name| name.contains(".broken-")).count(), 4);
}

#[tokio::test]
async fn state_file_is_unchanged_after_a_failed_write() {
    let folder = TempDir::new().unwrap();
    let file = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    let lock = file.lock().await.unwrap();
    file.save(&lock, &saved("one")).unwrap();
    // In the way of the new file, so that not even root can write it.
    fs::create_dir(file.path().with_extension("new")).unwrap();
    let error = file.save(&lock, &saved("two")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write the state file "), "{error}");
    assert_eq!(file.load().unwrap(), Some(saved("one")));
}

#[tokio::test]
async fn reserved_space_is_what_the_next_record_is_written_to() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = TempDir::new().unwrap();
    let file = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    let (lock, new) = (file.lock().await.unwrap(), file.path().with_extension("new"));
    file.reserve(&lock).unwrap();
    let reserved = fs::metadata(&new).unwrap();
    assert!(reserved.len() >= RESERVE_BYTES as u64);
    file.save(&lock, &saved("one")).unwrap();
    assert_eq!((fs::metadata(file.path()).unwrap().ino(), new.exists()), (reserved.ino(), false));
    assert_eq!(file.load().unwrap(), Some(saved("one")));

    let size = fs::metadata(file.path()).unwrap().len();
    file.reserve(&lock).unwrap();
    assert_eq!(fs::metadata(&new).unwrap().len(), size + RESERVE_BYTES as u64, "more than the last one");
    file.release(&lock);
    assert!(!new.exists());
    // What a process that was killed has left there is overwritten.
    fs::write(&new, vec![b'x'; 100_000]).unwrap();
    file.save(&lock, &saved("two")).unwrap();
    assert_eq!(file.load().unwrap(), Some(saved("two")));
}

#[test]
fn state_dir_open_to_others_or_not_a_folder_is_an_error() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("state");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).unwrap();
    let error = dir_with(&folder, "key").err().unwrap().to_string();
    assert!(error.contains("its mode is 750") && error.contains("chmod 700"), "{error}");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(dir_with(&folder, "key").is_err());
    fs::remove_dir(&dir).unwrap();
    fs::write(&dir, "").unwrap();
    let error = dir_with(&folder, "key").err().unwrap().to_string();
    assert!(error.contains("cannot make the folder"), "{error}");
}

#[tokio::test]
async fn state_files_are_not_reached_through_symbolic_links() {
    let folder = TempDir::new().unwrap();
    let file = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    let (outside, lock) = (folder.path().join("outside"), file.path().with_extension("lock"));
    symlink(&outside, &lock).unwrap();
    let error = file.lock().await.err().unwrap().to_string();
    assert!(error.contains(".lock: it is a symbolic link"), "{error}");
    fs::write(&outside, "precious").unwrap();
    assert!(file.lock().await.is_err(), "neither if it leads somewhere");
    fs::remove_file(&lock).unwrap();

    let lock = file.lock().await.unwrap();
    for name in [file.path().to_owned(), file.path().with_extension("new")] {
        symlink(&outside, &name).unwrap();
    }
    let error = file.load().unwrap_err().to_string();
    assert!(error.contains("it is a symbolic link"), "{error}");
    assert!(file.save(&lock, &saved("one")).is_err());
    file.reserve(&lock).unwrap();
    file.save(&lock, &saved("one")).unwrap();
    assert_eq!(file.load().unwrap(), Some(saved("one")));
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
}

#[tokio::test(start_paused = true)]
async fn state_lock_is_exclusive() {
    let folder = TempDir::new().unwrap();
    let file = dir_with(&folder, "key").unwrap().file(&Identity::of(&oauth2("crm")));
    let held = file.lock().await.unwrap();
    let error = file.lock().await.err().unwrap();
    assert!(matches!(error, StateError::Locked { .. }), "{error}");
    let waiting = tokio::spawn({
        let file = file.clone();
        async move { file.lock().await.is_ok() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    drop(held);
    assert!(waiting.await.unwrap());
}

#[test]
fn state_record_of_each_login_has_a_new_name() {
    let (one, two) = (StateRecord::login(secret("a")), StateRecord::login(secret("a")));
    assert_ne!(one.login, two.login);
    assert!(one.login.is_some());
}

#[test]
fn kept_access_token_lives_no_longer_than_issued() {
    let token = |seconds| AccessTokenRecord {
        expires: SystemTime::now() + Duration::from_secs(seconds),
        ..saved("x").access_token.unwrap()
    };
    let left = token(600).to_issued().expiry.remaining();
    assert!((595..=600).contains(&left.as_secs()), "{left:?}");
    // The wall clock was set back meanwhile.
    assert!(token(86_400).to_issued().expiry.remaining() <= Duration::from_secs(3600));
    let over = AccessTokenRecord { expires: SystemTime::now() - Duration::from_secs(1), ..token(0) };
    assert!(over.to_issued().expiry.is_past());
}
