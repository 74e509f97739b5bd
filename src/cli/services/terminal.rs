//! Questions to a person.

use std::io::{IsTerminal, stderr, stdin};

use anyhow::{Context, bail};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input, Password, Select};
use zeroize::Zeroizing;

/// A terminal at which a person answers.
pub(super) struct Terminal {
    theme: Box<dyn Theme>,
}

impl Terminal {
    /// The terminal, if there is one on standard input and standard error.
    pub(super) fn of_process() -> Option<Self> {
        if !stdin().is_terminal() || !stderr().is_terminal() {
            return None;
        }
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let theme: Box<dyn Theme> =
            if is_plain { Box::new(SimpleTheme) } else { Box::new(ColorfulTheme::default()) };
        Some(Self { theme })
    }

    /// Has one of several entries chosen; typing narrows the list down.
    pub(super) fn search(&self, prompt: &str, entries: &[String]) -> anyhow::Result<usize> {
        let list = FuzzySelect::with_theme(&*self.theme).with_prompt(prompt).items(entries).default(0);
        list.max_length(12).interact_opt()?.context("nothing was chosen")
    }

    /// Has one of a few entries chosen.
    pub(super) fn choose(&self, prompt: &str, entries: &[&str]) -> anyhow::Result<usize> {
        let list = Select::with_theme(&*self.theme).with_prompt(prompt).items(entries).default(0);
        list.interact_opt()?.context("nothing was chosen")
    }

    /// Asks for a text until the check accepts it.
    pub(super) fn ask(
        &self,
        prompt: &str,
        default: Option<&str>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> anyhow::Result<String> {
        let input = Input::<String>::with_theme(&*self.theme).with_prompt(prompt).allow_empty(true);
        let input = match default {
            Some(default) => input.default(default.to_owned()),
            None => input,
        };
        Ok(input.validate_with(|text: &String| check(text)).interact_text()?)
    }

    /// Asks for a secret, which is not shown.
    pub(super) fn secret(&self, prompt: &str) -> anyhow::Result<Zeroizing<String>> {
        let secret = Zeroizing::new(Password::with_theme(&*self.theme).with_prompt(prompt).interact()?);
        if secret.is_empty() {
            bail!("the secret is empty");
        }
        Ok(secret)
    }

    /// Asks a question that is answered with yes or no.
    pub(super) fn confirm(&self, prompt: &str, default: bool) -> anyhow::Result<bool> {
        Ok(Confirm::with_theme(&*self.theme).with_prompt(prompt).default(default).interact()?)
    }
}
