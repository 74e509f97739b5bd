//! What was found, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::table;
use crate::config::{Config, ConfigError};

/// How errors and warnings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A table of services on standard output, errors and warnings on standard error.
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0 (OASIS), which code hosts and editors show.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

/// A configuration that was read, or the errors in it.
pub(super) struct Report<'r> {
    file: String,
    config: &'r Result<Config, ConfigError>,
}

/// An error or a warning.
struct Finding<'r> {
    level: &'static str,
    file: &'r str,
    /// Counted from 1; 0 if there is none.
    line: usize,
    /// Counted from 1; 0 if there is none.
    column: usize,
    path: &'r str,
    message: &'r str,
}

impl Finding<'_> {
    fn text(&self) -> String {
        if self.path.is_empty() {
            self.message.to_owned()
        } else {
            format!("{}: {}", self.path, self.message)
        }
    }
}

impl<'r> Report<'r> {
    pub(super) fn new(path: &Path, config: &'r Result<Config, ConfigError>) -> Self {
        let file =
            if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        Self { file, config }
    }

    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
    pub(super) fn print(&self, format: Format) {
        match (format, self.config) {
            (Format::Json, _) => println!("{:#}", self.json()),
            (Format::Sarif, _) => println!("{:#}", self.sarif()),
            (Format::Github, _) => print!("{}", self.github()),
            (Format::Text, Err(error)) => eprintln!("{error}"),
            (Format::Text, Ok(config)) => {
                print!("{}", table::of_services(config));
                for warning in &config.warnings {
                    eprintln!(
                        "warning: {}:{}: {}: {}",
                        warning.file, warning.line, warning.path, warning.message
                    );
                }
                let count = config.services.len();
                let services = if count == 1 { "service" } else { "services" };
                println!("\n{}: {count} {services}, no error", self.file);
            }
        }
    }

    fn findings(&self) -> Vec<Finding<'_>> {
        match self.config {
            Err(error) => error
                .diagnostics()
                .iter()
                .map(|found| Finding {
                    level: "error",
                    file: &found.file,
                    line: found.line,
                    column: found.column,
                    path: &found.path,
                    message: &found.message,
                })
                .collect(),
            Ok(config) => config
                .warnings
                .iter()
                .map(|found| Finding {
                    level: "warning",
                    file: &found.file,
                    line: found.line,
                    column: 0,
                    path: &found.path,
                    message: &found.message,
                })
                .collect(),
        }
    }

    fn json(&self) -> Value {
        let of = |level: &str| -> Value {
            let findings = self.findings().into_iter().filter(|finding| finding.level == level);
            findings
                .map(|found| {
                    json!({ "file": found.file, "line": found.line, "column": found.column, "path": found.path, "message": found.message })
                })
                .collect()
        };
        let services: Vec<_> = self
            .config
            .iter()
            .flat_map(|config| {
                config.services.iter().map(|service| {
                    json!({
                        "name": service.name,
                        "kind": service.auth.kinds(),
                        "upstreams": table::upstreams(service),
                        "calls": table::ways_in(config, service),
                        "requests": table::requests(service),
                    })
                })
            })
            .collect();
        json!({
            "file": self.file,
            "valid": self.config.is_ok(),
            "errors": of("error"),
            "warnings": of("warning"),
            "services": services,
        })
    }

    fn sarif(&self) -> Value {
        let results: Vec<_> = self
            .findings()
            .iter()
            .map(|found| {
                let mut location = json!({ "artifactLocation": { "uri": found.file } });
                if found.line > 0 {
                    location["region"] = json!({ "startLine": found.line });
                    if found.column > 0 {
                        location["region"]["startColumn"] = found.column.into();
                    }
                }
                json!({
                    "ruleId": format!("configuration-{}", found.level),
                    "level": found.level,
                    "message": { "text": found.text() },
                    "locations": [{ "physicalLocation": location }],
                })
            })
            .collect();
        let rule = |id: &str, text: &str| json!({ "id": id, "shortDescription": { "text": text } });
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "sidekey",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": [
                        rule("configuration-error", "Sidekey rejects the configuration."),
                        rule("configuration-warning", "The configuration is allowed but unwise."),
                    ],
                } },
                "results": results,
            }],
        })
    }

    fn github(&self) -> String {
        let mut out = String::new();
        for found in self.findings() {
            let mut properties = format!("file={}", property(found.file));
            for (name, number) in [("line", found.line), ("col", found.column)] {
                if number > 0 {
                    write!(properties, ",{name}={number}").expect("a String takes every text");
                }
            }
            let text = data(&found.text());
            writeln!(out, "::{} {properties},title=sidekey check::{text}", found.level)
                .expect("a String takes every text");
        }
        out
    }
}

/// The text of an annotation: <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of an annotation.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
