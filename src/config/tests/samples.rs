//! Every sample in `config/` is a valid configuration.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::*;

/// Paths in the samples that the test replaces by its own folder.
const SECRETS: &str = "/run/secrets";
const CA: &str = "/etc/sidekey/internal-ca.pem";

/// The stores of secrets in the samples.
const STORES: [&str; 2] =
    ["https://vault.example.com:8200", "https://vpce-0123.secretsmanager.eu-west-1.vpce.amazonaws.com"];

/// A store that accepts every login and has every secret. Returns its URL.
pub(super) fn store() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut line, mut length, mut first) = (String::new(), 0, String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if first.is_empty() {
                    first = line.clone();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let body = if first.contains("/login") {
                r#"{"auth": {"client_token": "a-token"}}"#
            } else {
                r#"{"data": {"token": "from-a-store"}, "SecretString": "{\"token\": \"from-a-store\"}"}"#
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    };
    std::thread::spawn(serve);
    url
}

/// Every sample, with its name.
pub(super) fn all() -> Vec<(String, String)> {
    of_folder("config")
}

/// Every file that a sample includes, with its name.
pub(super) fn included() -> Vec<(String, String)> {
    of_folder("config/services.d")
}

fn of_folder(folder: &str) -> Vec<(String, String)> {
    let folder = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    let samples = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    samples.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

fn environment(name: &str) -> Option<OsString> {
    matches!(name, "MAIL_TOKEN" | "REPORTS_PASSWORD" | "INVOICES_TOKEN" | "LEDGER_KEY" | "CONTACTS_TOKEN")
        .then(|| "from-the-environment".into())
}

#[test]
fn samples_have_no_errors_or_warnings() {
    let (folder, store) = (tempfile::tempdir().unwrap(), store());
    let mut kinds = std::collections::BTreeSet::new();
    let mut count = 0;
    for (name, text) in all() {
        let text = with_files(&text, folder.path());
        let text = STORES.iter().fold(text, |text, url| text.replace(url, &store));
        let config = Config::parse_with(&text, &name, &environment, crate::credential::READERS);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.warnings, [], "{name}");
        kinds.extend(config.services.iter().map(|service| service.auth.kind()));
        count += 1;
    }
    assert!(count >= 3);
    let known: std::collections::BTreeSet<_> =
        crate::credential::READERS.kinds.iter().map(|kind| kind.name).collect();
    assert_eq!(kinds, known);
}

/// Creates the files that the text names in the folder, and replaces their paths.
fn with_files(text: &str, folder: &Path) -> String {
    let secrets = folder.display().to_string();
    for word in text.split(|c: char| c.is_whitespace() || "},]".contains(c)) {
        if let Some(name) = word.strip_prefix("/run/secrets/") {
            let content = match name {
                "google-key.json" => include_str!("fixtures/google-key.json"),
                "google-federation.json" => include_str!("fixtures/google-federation.json"),
                _ if Path::new(name).extension().is_some_and(|end| end == "pem") => {
                    include_str!("fixtures/rsa.pem")
                }
                _ => "from-a-file-with-a-long-secret\n",
            };
            std::fs::write(folder.join(name), content).unwrap();
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    let certificate = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.cert.pem()).unwrap();
    text.replace(SECRETS, &secrets).replace(CA, &format!("{secrets}/ca.pem"))
}
