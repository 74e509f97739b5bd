//! docs/PROVIDERS.md is what the presets say.

use std::fmt::Write as _;
use std::path::Path;

use sidekey::config::edit::ServicesText;
use sidekey::presets;
use sidekey::presets::Preset;

use super::providers;
use super::rules::Provider;

/// What stands before the sections.
const INTRODUCTION: &str = "\
# Providers

This page is made from the presets of `sidekey add` ([`src/presets/providers.yaml`](../src/presets/providers.yaml)) by
`make providers`.

`sidekey add --provider ID` asks the questions of a preset, writes the service, and tests it.

- Every answer has an option: `--set QUESTION=ANSWER`, and `--secret NAME=SOURCE` for a secret. A key in PEM is given as
  `--secret NAME=file:PATH`.
- The YAML of each section is the service that results from sample answers. Secrets are in files there;
  [CONFIGURATION.md](CONFIGURATION.md#secrets) has the other sources.
- `sidekey test NAME PATH` with the path of the section makes one request that needs a good credential and no resource.
- The services are tested against servers that accept a request only if it has what the provider's documentation demands. They are
  not tested against the providers.
- What a provider changes later is not here. Each section links the page that counts.

";

/// The page.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page += "## All presets\n\n| preset | provider |\n|---|---|\n";
    for preset in presets::all() {
        writeln!(page, "| [`{}`](#{}) | {} |", preset.id, preset.id, preset.title).unwrap();
    }
    for preset in presets::all() {
        let provider = providers::all().find(|provider| provider.id == preset.id);
        let provider = provider.unwrap_or_else(|| panic!("no rules of {}", preset.id));
        section(&mut page, preset, provider);
    }
    page
}

fn section(page: &mut String, preset: &Preset, provider: &Provider) {
    let (id, title) = (&preset.id, &preset.title);
    write!(page, "\n## {id}\n\n**{title}.** [Documentation]({})\n\n", preset.docs).unwrap();
    writeln!(page, "```sh\nsidekey add --provider {id}\n```\n").unwrap();
    if let Some(obtain) = &preset.obtain {
        writeln!(page, "The credential is made at: {obtain}.\n").unwrap();
    }
    page.push_str("| question | | |\n|---|---|---|\n");
    for question in &preset.answers {
        let note = match &question.default {
            Some(default) => format!("default `{default}`"),
            None if question.optional => "optional".to_owned(),
            None => String::new(),
        };
        writeln!(page, "| `{}` | {} | {note} |", question.name, question.prompt).unwrap();
    }
    for secret in &preset.secrets {
        writeln!(page, "| `{}` | {} | secret |", secret.name, secret.prompt).unwrap();
    }
    let empty = ServicesText::parse("").unwrap();
    let yaml = empty.insert(id, &provider.sample_service()).unwrap();
    writeln!(page, "\n```yaml\n{}\n```\n", yaml.trim_end()).unwrap();
    match provider.test_path() {
        Some(path) => writeln!(page, "Test: `sidekey test {id} '{path}'`").unwrap(),
        None => writeln!(page, "There is no test: the API has no request that needs no resource.").unwrap(),
    }
    if !preset.notes.is_empty() {
        page.push('\n');
    }
    for note in &preset.notes {
        writeln!(page, "- {note}").unwrap();
    }
}

/// With `SIDEKEY_WRITE=1` the page is written instead (`make providers`).
#[test]
fn providers_page_is_what_the_presets_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROVIDERS.md");
    let page = page();
    if std::env::var_os("SIDEKEY_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(file == page, "docs/PROVIDERS.md is not made from the presets any more; run `make providers`");
}
