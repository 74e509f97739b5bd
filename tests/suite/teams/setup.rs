//! Shared set-up: a configuration that includes a folder.

use std::fmt::Write as _;

use crate::harness::{MockUpstream, Sidekey, SidekeyBuilder};

/// A configuration that includes `$DIR/teams`, and is reloaded only when a test requests it.
pub fn including(more: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ level: debug, format: json }}\naccess_log: true\n\
         reload: {{ interval: 0s }}\ninclude: [teams]\n{more}"
    )
}

/// A Sidekey with these files in `$DIR/teams`.
pub fn with_files<'f>(config: &str, files: impl IntoIterator<Item = (&'f str, String)>) -> SidekeyBuilder {
    let builder = Sidekey::configured(config);
    std::fs::create_dir(builder.dir().join("teams")).unwrap();
    let folder = builder.dir().display().to_string();
    for (name, content) in files {
        std::fs::write(builder.dir().join("teams").join(name), content.replace("$DIR", &folder)).unwrap();
    }
    builder
}

/// A file with these services, each with a bearer token of its own.
pub fn file(upstream: &MockUpstream, services: &[&str]) -> String {
    let mut text = String::from("services:\n");
    for name in services {
        text += &service(upstream, name, &format!("token-of-{name}"));
    }
    text
}

/// A service with this token.
pub fn service(upstream: &MockUpstream, name: &str, token: &str) -> String {
    let mut text = String::new();
    writeln!(
        text,
        "  {name}: {{ upstream: '{}', auth: {{ type: bearer, token: {token} }} }}",
        upstream.url()
    )
    .unwrap();
    text
}
