//! Invalid configurations of any kind: the error messages contain no secret.

use std::ffi::OsString;
use std::fmt::Write as _;

use sidekey::config::Config;

use super::{Canary, assert_none_in};
use crate::harness::Sidekey;

const SECRETS: usize = 8;

/// A configuration with every kind of secret.
const FILE: &str = r#"listen: 127.0.0.1:8080
services:
  billing:
    upstream: https://billing.example.com/api
    auth: { type: basic, username: me, password: '$SECRET' }
  mail:
    upstream: https://mail.example.com
    auth:
      type: bearer
      token: $SECRET
  maps:
    upstream: https://maps.example.com
    auth: { type: api_key, in: query, name: key, value: "$SECRET" }
  wiki:
    upstream: https://wiki.example.com
    auth: { type: api_key, in: cookie, name: session, prefix: 'P', value: $SECRET }
  crm:
    upstream: https://crm.example.com
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example.com/token
      client_id: crm
      client_secret: >-
        $SECRET
      token_request: { params: { key: '$SECRET' } }
  shared: { upstream: https://shared.example.com, auth: { use: warehouse } }
  env: { upstream: https://env.example.com, auth: { type: bearer, token: { env: SECRET } } }
credentials:
  warehouse: { type: basic, username: warehouse, password: "$SECRET" }
  unused: { type: bearer, token: '$SECRET' }
"#;

/// The configuration with these secrets.
fn file(secrets: &[Canary]) -> String {
    assert_eq!(FILE.matches("$SECRET").count(), secrets.len());
    secrets.iter().fold(FILE.to_owned(), |text, secret| text.replacen("$SECRET", &secret.value, 1))
}

/// Everything that an operator is shown of a configuration.
fn shown(text: &str, environment: &Canary) -> String {
    let lookup = |name: &str| (name == "SECRET").then(|| OsString::from(&environment.value));
    match Config::parse_with(text, "services.yaml", &lookup, sidekey::credential::READERS) {
        Ok(config) => format!("{config:?}\n{:?}", config.warnings),
        Err(error) => format!("{error}\n{error:?}\n{error:#?}"),
    }
}

#[test]
fn config_errors_contain_no_secret() {
    let mut secrets: Vec<_> = (0..SECRETS).map(|number| Canary::new(format!("secret {number}"))).collect();
    // Half of the secrets are not quoted, and YAML does not allow all characters without quotes.
    for secret in &mut secrets {
        secret.value = secret.value.replace(['&', ':', '%', '='], "");
    }
    let environment = Canary::new("the environment");
    let text = file(&secrets);
    let canaries: Vec<_> = secrets.iter().chain([&environment]).collect();
    let clean = shown(&text, &environment);
    assert!(clean.contains("warehouse"), "{clean}");
    assert_none_in("a good file", &clean, canaries.iter().copied());

    let lines: Vec<_> = text.lines().collect();
    let without = |skipped: usize, instead: &str| {
        let kept = |(number, line): (usize, &&str)| {
            if number == skipped { instead.to_owned() } else { (*line).to_owned() }
        };
        lines.iter().enumerate().map(kept).collect::<Vec<_>>().join("\n")
    };
    let mut broken = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        broken.push(without(number, ""));
        broken.push(without(number, &format!("{line}\n{line}")));
        for (old, new) in [
            (": ", ":"),
            (":", ""),
            ("'", ""),
            ("\"", ""),
            ("{", "["),
            ("}", ""),
            ("  ", ""),
            ("  ", "\t"),
            (" ", "  "),
            ("https", "http"),
            ("value", "valeu"),
            ("password", "passwort"),
            ("token:", "tokn:"),
            ("type", "typ"),
            (": ", ": &"),
            (": ", ": *"),
            (": ", ": !"),
            (": ", ": |"),
            (": ", ": ${"),
            (": ", ": - "),
            (": ", ": {"),
            ("password: ", "password: { file: "),
            ("value: ", "value: { env: "),
            ("token: ", "token: { exec: "),
            ("client_secret: >-", "client_secret:"),
            ("bearer", "basic"),
            ("basic", "bearer"),
            ("api_key", "oauth2"),
        ] {
            broken.push(without(number, &line.replace(old, new)));
            broken.push(without(number, &line.replacen(old, new, 1)));
        }
    }
    broken.extend((0..text.len()).step_by(3).map(|end| text[..end].to_owned()));
    for text in &broken {
        assert_none_in(
            &format!("the messages about\n{text}\n"),
            &shown(text, &environment),
            canaries.iter().copied(),
        );
    }
}

#[tokio::test]
async fn check_and_run_do_not_print_misplaced_secrets() {
    let names =
        ["a key", "an unknown key", "a type", "a scheme", "an address", "a duration", "a level", "a name"];
    let secrets: Vec<_> = names.map(Canary::new).into();
    let v: Vec<_> = secrets.iter().map(|secret| secret.value.as_str()).collect();
    let mut config = format!("listen: '{}'\nlog: {{ level: '{}' }}\nservices:\n", v[4], v[6]);
    writeln!(config, "  a: {{ upstream: '{}://x', auth: {{ type: '{}' }} }}", v[3], v[2]).unwrap();
    writeln!(config, "  b: {{ upstream: 'https://x', token_wait: '{}', auth: {{ '{}': 1 }} }}", v[5], v[0])
        .unwrap();
    writeln!(
        config,
        "  c: {{ upstream: 'https://u:{}@x', auth: {{ type: bearer, token: a,{} }} }}",
        v[1], v[1]
    )
    .unwrap();
    writeln!(config, "  d: {{ upstream: 'https://x', auth: {{ use: '{}' }} }}", v[7]).unwrap();
    for command in ["check", "run"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("services.yaml");
        std::fs::write(&path, &config).unwrap();
        let output = Sidekey::command(&[command, "--config", path.to_str().unwrap()], &[]).await;
        assert_eq!(output.status.code(), Some(78));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains("errors in"), "{said}");
        assert_none_in(&format!("`sidekey {command}`"), &said, &secrets);
    }
}
