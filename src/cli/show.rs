//! `sidekey show`: the effective settings of a service, and how it is.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::config_arg::{ConfigArg, no_service};
use super::exit::{EXIT_CONFIG, EXIT_USAGE};
use super::running::Running;
use crate::config::reader::settings::{HIDDEN, Setting};
use crate::config::{Config, rfc3339};
use crate::credential::READERS;

/// Arguments of `sidekey show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service, by its name in the configuration.
    service: String,
    /// Print a JSON object instead of YAML.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Prints the settings of a service. Never a secret: of each one, where it is read from.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn show(args: &Args) -> ExitCode {
    let running = match Running::of(&args.config) {
        Ok(running) => running,
        Err(code) => return code,
    };
    let settings = match Config::effective(&args.config.config, &args.service, READERS) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            eprintln!("{}", no_service(&args.service, running.services()));
            return ExitCode::from(EXIT_USAGE);
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let state = running.get(&format!("/api/v1/services/{}", args.service));
    if args.json {
        println!("{:#}", document(&args.service, &settings, state.as_ref().ok()));
    } else {
        print!("{}{}", comments(&state), yaml(&args.service, &settings));
    }
    ExitCode::SUCCESS
}

/// When the content of a secret last changed, if its source is a file.
fn since(setting: &Setting) -> Option<String> {
    let file = setting.value.get("file")?.as_str()?;
    let modified = Path::new(file).metadata().ok()?.modified().ok()?;
    let seconds = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(rfc3339(seconds.try_into().ok()?))
}

fn document(service: &str, settings: &[Setting], state: Option<&Value>) -> Value {
    let mut tree = Map::new();
    for setting in settings {
        let path = with_items(&setting.path);
        let mut names = path.split('.').peekable();
        let mut section = &mut tree;
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                section.insert(name.to_owned(), setting.value.clone());
                break;
            }
            let inner = section.entry(name).or_insert_with(|| json!({}));
            let Value::Object(inner) = inner else { break };
            section = inner;
        }
    }
    tree.values_mut().for_each(lists);
    let defaults: Vec<_> =
        settings.iter().filter(|setting| setting.is_default).map(|setting| &setting.path).collect();
    let secrets = settings.iter().filter(|setting| setting.is_secret);
    let secret =
        |setting: &Setting| json!({ "key": setting.path, "source": setting.value, "since": since(setting) });
    json!({
        "service": service,
        "settings": tree,
        "defaults": defaults,
        "secrets": secrets.map(secret).collect::<Vec<_>>(),
        "running": state,
    })
}

/// A path in which the entry of a list is a part of its own: `auth.[0].type`.
fn with_items(path: &str) -> String {
    path.replace('[', ".[")
}

/// Makes a list of a mapping whose keys are the places in a list.
fn lists(value: &mut Value) {
    let Value::Object(entries) = value else { return };
    if entries.keys().next().is_some_and(|key| key.starts_with('[')) {
        *value = std::mem::take(entries).into_iter().map(|(_, value)| value).collect();
    }
}

/// What is known of the running service.
fn comments(state: &Result<Value, String>) -> String {
    let service = match state {
        Ok(service) => service,
        Err(message) => return format!("# state: not known, {message}\n"),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut lines = format!("# state: {}", text(&service["state"]).unwrap_or_default());
    if let Some(summary) = text(&service["summary"]) {
        let _ = write!(lines, ", {summary}");
    }
    lines.push('\n');
    let of_token = [
        ("token issued", "issued"),
        ("expires", "expires"),
        ("last refresh", "last_refresh"),
        ("failing since", "failing_since"),
    ];
    for (name, key) in of_token {
        if let Some(value) = text(&service["token"][key]) {
            let _ = writeln!(lines, "# {name}: {value}");
        }
    }
    for part in service["tokens"].as_array().into_iter().flatten() {
        let _ = write!(lines, "# auth[{}] ({}):", part["place"], text(&part["kind"]).unwrap_or_default());
        let state = if part["usable"] == true { "usable" } else { "no usable token" };
        let _ = write!(lines, " {state}");
        if let Some(expires) = text(&part["token"]["expires"]) {
            let _ = write!(lines, ", expires {expires}");
        }
        if let Some(error) = text(&part["error"]) {
            let _ = write!(lines, ", last error: {error}");
        }
        lines.push('\n');
    }
    if let Some(error) = text(&service["last_error"]["message"]) {
        let _ = writeln!(lines, "# last error: {error}");
    }
    lines
}

fn yaml(service: &str, settings: &[Setting]) -> String {
    let mut text = format!("{}:\n", scalar(service));
    let paths: Vec<_> = settings.iter().map(|setting| with_items(&setting.path)).collect();
    let refs: Vec<_> = paths.iter().map(String::as_str).zip(settings).collect();
    section(&refs, 1, &mut text);
    text
}

/// Writes settings, in the order in which each section appears first.
fn section(settings: &[(&str, &Setting)], depth: usize, into: &mut String) {
    let mut written: Vec<&str> = Vec::new();
    let indent = "  ".repeat(depth);
    for (path, setting) in settings {
        let Some((name, _)) = path.split_once('.') else {
            let _ = writeln!(into, "{indent}{path}: {}{}", flow(&setting.value), remark(setting));
            continue;
        };
        if written.contains(&name) {
            continue;
        }
        written.push(name);
        let inner = settings.iter().filter_map(|(path, setting)| {
            let (of, rest) = path.split_once('.')?;
            (of == name).then_some((rest, *setting))
        });
        let inner: Vec<_> = inner.collect();
        if !name.starts_with('[') {
            let _ = writeln!(into, "{indent}{name}:");
            section(&inner, depth + 1, into);
            continue;
        }
        // The entry of a list: its first line begins with a hyphen.
        let mut item = String::new();
        section(&inner, depth + 1, &mut item);
        into.push_str(&item.replacen("  ", "- ", depth + 1).replacen("- ", "  ", depth));
    }
}

fn remark(setting: &Setting) -> String {
    if setting.is_default {
        return "  # default".into();
    }
    if setting.is_secret && setting.value == HIDDEN {
        return "  # in the configuration itself".into();
    }
    since(setting).map_or_else(String::new, |since| format!("  # since {since}"))
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", scalar(key), flow(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text without quotes, if YAML reads it as that text.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '…')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_.:@*+-…?=%".contains(c))
        && !text.ends_with(':')
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&&*text.to_lowercase());
    let is_duration = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_digit() || "hms".contains(c));
    if is_plain || is_duration { text.to_owned() } else { json!(text).to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn setting(path: &str, value: Value) -> Setting {
        Setting { path: path.into(), value, is_default: false, is_secret: false }
    }

    #[test]
    fn list_of_credentials_is_shown_as_a_list() {
        let settings = [
            setting("auth[0].type", json!("bearer")),
            setting("auth[0].token", json!({ "env": "A" })),
            setting("auth[1].use", json!("shared")),
            setting("auth[1].tls.ca_file", json!("/ca.pem")),
        ];
        assert_eq!(
            yaml("a", &settings),
            "a:\n  auth:\n    - type: bearer\n      token: { env: A }\n    - use: shared\n      tls:\n        ca_file: /ca.pem\n"
        );
        let document = document("a", &settings, None);
        assert_eq!(document["settings"]["auth"][0], json!({ "type": "bearer", "token": { "env": "A" } }));
        assert_eq!(document["settings"]["auth"][1]["tls"]["ca_file"], "/ca.pem");
    }

    #[test]
    fn yaml_is_what_a_configuration_would_have() {
        let settings = [
            setting("upstream", json!("https://a.example")),
            setting("auth.type", json!("bearer")),
            Setting { is_secret: true, ..setting("auth.token", json!({ "env": "TOKEN" })) },
            Setting { is_default: true, ..setting("timeouts.connect", json!("5s")) },
            setting("allow", json!(["GET /x/**", { "methods": ["GET"] }])),
            Setting { is_default: true, ..setting("timeouts.idle", json!("60s")) },
            setting("via", json!(true)),
            setting("hosts", json!(["true", "a: b", "# no"])),
        ];
        let text = yaml("a", &settings);
        let expected = "a:
  upstream: https://a.example
  auth:
    type: bearer
    token: { env: TOKEN }
  timeouts:
    connect: 5s  # default
    idle: 60s  # default
  allow: [\"GET /x/**\", { methods: [GET] }]
  via: true
  hosts: [\"true\", \"a: b\", \"# no\"]
";
        assert_eq!(text, expected);
        let read: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read["a"], document("a", &settings, None)["settings"]);
    }

    #[test]
    fn comments_list_the_token_of_each_credential() {
        let state = json!({
            "state": "unavailable", "summary": "No token.",
            "tokens": [
                { "kind": "oauth2", "place": 0, "usable": true, "error": null, "token": { "expires": "2026-11-30T12:00:00Z" } },
                { "kind": "jwt", "place": 2, "usable": false, "error": "no key", "token": { "expires": null } },
            ],
        });
        let shown = comments(&Ok(state));
        assert!(shown.contains("# auth[0] (oauth2): usable, expires 2026-11-30T12:00:00Z\n"), "{shown}");
        assert!(shown.contains("# auth[2] (jwt): no usable token, last error: no key\n"), "{shown}");
    }
}
