//! The services that the presets make with the sample answers, on the way to the fake.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::KeyPair;
use serde_json::json;
use serde_yaml::{Mapping, Value};
use sidekey::presets;
use sidekey::presets::{Answers, Preset};
use tempfile::TempDir;

use super::fake::Fake;
use super::providers;
use super::rules::Provider;
use crate::harness::Request;

/// The folder of the secrets in the sample answers. In a test it is a folder of the test.
const SECRETS: &str = "/run/secrets/";
/// The samples of private keys, for which the tests have some.
const PRIVATE_KEY: &str = "PRIVATE KEY";
const RSA_PRIVATE_KEY: &str = "RSA PRIVATE KEY";

impl Provider {
    pub fn preset(&self) -> &'static Preset {
        presets::find(self.id).unwrap_or_else(|| panic!("there is no preset {}", self.id))
    }

    /// The sample answers, with a file for each secret.
    pub fn sample_answers(&self) -> Answers {
        let text = |(name, answer): &(&str, &str)| ((*name).to_owned(), (*answer).to_owned());
        let file = |(name, _): &(&str, &str)| {
            let path = format!("{SECRETS}{}", self.file_of(name));
            ((*name).to_owned(), serde_yaml::to_value(json!({ "file": path })).unwrap())
        };
        Answers {
            texts: self.answers.iter().map(text).collect(),
            secrets: self.secrets.iter().map(file).collect(),
        }
    }

    /// The service that the preset makes of the sample answers.
    pub fn sample_service(&self) -> Value {
        self.preset().fill(&self.sample_answers()).unwrap_or_else(|error| panic!("{}: {error}", self.id))
    }

    /// The path that the preset tests with, if it tests.
    pub fn test_path(&self) -> Option<String> {
        self.preset().filled_test_path(&self.sample_answers())
    }

    /// A request of a caller for a service of the preset, below this URL.
    pub fn call(&self, service: &str) -> Request {
        let path = self.test_path().unwrap_or_else(|| self.target.to_owned());
        as_a_library(self.method, format!("{service}{path}"))
    }

    /// The files that the sample answers name, each with its content.
    fn files(&self, fake: &Fake) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for (name, sample) in self.secrets {
            let content = match *sample {
                PRIVATE_KEY => fake.private_key(),
                RSA_PRIVATE_KEY => fake.rsa_keys()[0].to_owned(),
                sample => sample.to_owned(),
            };
            files.push((self.file_of(name), content));
        }
        for path in self.answers.iter().filter_map(|(_, answer)| answer.strip_prefix(SECRETS)) {
            files.push((path.to_owned(), service_account(&fake.private_key())));
        }
        files
    }

    fn file_of(&self, secret: &str) -> String {
        format!("{}-{}", self.id, secret.replace('_', "-"))
    }
}

/// A Google service account's key file.
fn service_account(private_key: &str) -> String {
    json!({
        "type": "service_account", "private_key_id": "0123abcd", "private_key": private_key,
        "client_email": "robot@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

/// A folder with the files of the sample secrets of all providers.
pub struct Files {
    dir: TempDir,
    other_rsa_key: String,
}

impl Files {
    pub fn of(fake: &Fake) -> Self {
        let dir = TempDir::with_prefix("sidekey-presets-").unwrap();
        let files = Self { dir, other_rsa_key: fake.rsa_keys()[1].to_owned() };
        for (name, content) in providers::all().flat_map(|provider| provider.files(fake)) {
            files.write(&name, &content);
        }
        files
    }

    /// The names of the files of a provider.
    pub fn names(provider: &Provider, fake: &Fake) -> Vec<String> {
        provider.files(fake).into_iter().map(|(name, _)| name).collect()
    }

    /// Replaces the secret in a file by another one of the same form.
    pub fn make_wrong(&self, name: &str) {
        let path = self.dir.path().join(name);
        let content = std::fs::read_to_string(&path).unwrap();
        let other_key = KeyPair::generate().unwrap().serialize_pem();
        let wrong = match content.chars().next() {
            Some('{') => service_account(&other_key),
            Some('-') if content.contains(RSA_PRIVATE_KEY) => self.other_rsa_key.clone(),
            Some('-') => other_key,
            _ => format!("wrong-{content}"),
        };
        self.write(name, &wrong);
    }

    /// A configuration with these services, whose secrets are the files here, on free ports.
    pub fn configuration(&self, services: impl IntoIterator<Item = (String, Value)>) -> String {
        let services: Mapping = services.into_iter().map(|(name, service)| (name.into(), service)).collect();
        let config = json!({ "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "log": { "format": "json" } });
        let mut config: Mapping = serde_yaml::from_value(serde_yaml::to_value(config).unwrap()).unwrap();
        config.insert("services".into(), services.into());
        let text = serde_yaml::to_string(&config).unwrap();
        text.replace(SECRETS, &format!("{}/", self.dir.path().display()))
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path_text(&path)
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The service with its requests, and its token requests, led to the fake.
pub fn led_to(fake: &Fake, mut service: Value) -> Value {
    // The other kinds make no requests.
    let makes_requests = service["auth"]["type"] == "oauth2" || service["auth"]["type"] == "github_app";
    // The fake has HTTP/1.1 only.
    service.as_mapping_mut().unwrap().shift_remove("protocol");
    for (key, value) in fake.way() {
        let value = serde_yaml::to_value(value).unwrap();
        if makes_requests {
            service["auth"].as_mapping_mut().unwrap().insert(key.into(), value.clone());
        }
        service.as_mapping_mut().unwrap().insert(key.into(), value);
    }
    service
}

/// What a library sends that was given a key that is none.
fn as_a_library(method: &str, url: impl AsRef<str>) -> Request {
    let request = Request::new(method, url).header("User-Agent", "library/1.0");
    ["Authorization", "api-key", "x-api-key", "private-token", "x-goog-api-key"]
        .iter()
        .fold(request, |request, name| request.header(name, "Bearer not-a-key"))
}
