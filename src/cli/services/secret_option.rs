//! `--secret NAME=SOURCE`: where a secret is read from. A secret itself is never an argument: every process of the machine can
//! read those.

use std::io::stdin;

use anyhow::{Context, bail};
use serde_yaml::Value;
use zeroize::Zeroizing;

use super::terminal::Terminal;
use crate::config::edit::entry;
use crate::manage::{NewSecrets, stored_source};
use crate::secret::read_to_end;

/// Largest secret, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// A value of `--secret`.
#[derive(Debug, Clone)]
pub(super) struct SecretOption {
    pub(super) name: String,
    pub(super) source: SourceOption,
}

/// Where a secret is read from.
#[derive(Debug, Clone)]
pub(super) enum SourceOption {
    /// As the services file has it: `{ file: PATH }`, `{ env: NAME }`, `{ exec: [COMMAND] }`.
    Configured(Value),
    /// Standard input, one line for each secret; it is kept in a new file.
    Stdin,
    /// A prompt in the terminal; it is kept in a new file.
    Prompt,
}

/// No text of the argument: it may be a secret in the wrong place.
const USAGE: &str = "a secret is named as NAME=SOURCE, where SOURCE is `file:PATH`, `env:NAME`, `exec:[COMMAND, ARGUMENT]`, \
                     `vault:PATH#FIELD`, `aws_secrets_manager:ID`, `stdin` or `prompt`; a secret itself is never an argument";

impl SourceOption {
    /// Reads the value of an option. `clap` does not, because it repeats what is wrong.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let configured = |name: &str, value: Value| Self::Configured(entry(name, value));
        match text.split_once(':') {
            None if text == "stdin" => Ok(Self::Stdin),
            None if text == "prompt" => Ok(Self::Prompt),
            Some((name @ ("file" | "env"), value)) if !value.is_empty() => Ok(configured(name, value.into())),
            Some(("exec", command)) => match serde_yaml::from_str(command) {
                Ok(command @ Value::Sequence(_)) => Ok(configured("exec", command)),
                _ => bail!(USAGE),
            },
            _ => stored_source(text).map(Self::Configured).context(USAGE),
        }
    }
}

impl SecretOption {
    /// Reads the values of `--secret`.
    pub(super) fn parse_all(texts: &[String]) -> anyhow::Result<Vec<Self>> {
        let parse = |text: &String| {
            let (name, source) = text.split_once('=').context(USAGE)?;
            Ok(Self { name: name.to_owned(), source: SourceOption::parse(source)? })
        };
        texts.iter().map(parse).collect()
    }
}

/// Reads secrets that are typed or piped.
pub(super) struct TypedSecrets<'t> {
    terminal: Option<&'t Terminal>,
    /// The lines of standard input that were not used yet, the last one first.
    lines: Option<Vec<Zeroizing<String>>>,
}

impl<'t> TypedSecrets<'t> {
    pub(super) fn new(terminal: Option<&'t Terminal>) -> Self {
        Self { terminal, lines: None }
    }

    /// The next line of standard input.
    pub(super) fn read_line(&mut self, name: &str) -> anyhow::Result<Zeroizing<String>> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            None => self.lines.insert(lines_of_stdin()?),
        };
        let line = lines.pop().with_context(|| format!("standard input has no line for `{name}`"))?;
        if line.is_empty() {
            bail!("the line of standard input for `{name}` is empty");
        }
        Ok(line)
    }

    /// Where a secret is read from, as the services file has it. One that is typed or piped is written to a new file of this name.
    /// `prompt` says what is to be typed.
    pub(super) fn place(
        &mut self,
        source: &SourceOption,
        (name, prompt): (&str, &str),
        file: &str,
        files: &mut NewSecrets,
    ) -> anyhow::Result<Value> {
        match source {
            SourceOption::Configured(place) => Ok(place.clone()),
            SourceOption::Stdin => Ok(files.write(file, &self.read_line(name)?)?),
            SourceOption::Prompt => Ok(files.write(file, &self.ask(prompt)?)?),
        }
    }

    /// What a person types, which is not shown.
    pub(super) fn ask(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        let terminal = self.terminal.context("there is no terminal to type a secret at; `stdin` reads it")?;
        terminal.secret(prompt)
    }
}

fn lines_of_stdin() -> anyhow::Result<Vec<Zeroizing<String>>> {
    let bytes = read_to_end(&mut stdin().lock(), 0, MAX_BYTES)?.context("standard input is too large")?;
    let text = std::str::from_utf8(&bytes).context("standard input is not UTF-8 text")?;
    let line = |line: &str| Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned());
    Ok(text.strip_suffix('\n').unwrap_or(text).split('\n').rev().map(line).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sources_are_read_and_a_secret_in_place_of_one_is_not_repeated() {
        let parse = |text: &str| SecretOption::parse_all(&[text.to_owned()]).map(|mut all| all.remove(0));
        let configured = |text: &str| match parse(text).unwrap().source {
            SourceOption::Configured(value) => serde_yaml::to_string(&value).unwrap().trim().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(configured("a=file:/x:y=z"), "file: /x:y=z");
        assert_eq!(configured("a=env:NAME"), "env: NAME");
        assert_eq!(configured("a=vault:secret/crm#token"), "vault:\n  path: secret/crm\n  field: token");
        assert_eq!(configured("a=exec:[pass, show, a]"), "exec:\n- pass\n- show\n- a");
        assert_eq!(configured("a=stdin"), "Stdin");
        assert_eq!(configured("auth.token=prompt"), "Prompt");
        for wrong in ["a", "CANARY", "a=CANARY", "a=file:", "a=exec:CANARY", "a=https://CANARY", "a="] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains("never an argument") && !error.contains("CANARY"), "{wrong}");
        }
    }
}
