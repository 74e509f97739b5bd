//! A change that is to be made: the configuration as it would be, and the lines that differ.

use super::diff::{Hidden, changed_lines};
use super::services_file::ServicesFile;
use crate::config::reader::secret::PLAIN_TEXT;
use crate::config::{Config, ConfigError};
use crate::credential::READERS;
use crate::secret::SecretCache;

/// A change whose result is a valid configuration.
pub struct Plan {
    /// The configuration as it would be.
    pub config: Config,
    /// The lines that hold a secret in plain text.
    hidden: Hidden,
}

impl Plan {
    /// Reads the configuration as it would be with another text of the file.
    ///
    /// `secrets` is used for both texts, so that no command is run twice for a secret.
    ///
    /// # Errors
    ///
    /// What the change would make wrong.
    pub fn new(file: &ServicesFile, text: &str, secrets: &SecretCache) -> Result<Self, ConfigError> {
        let config = Config::load_draft(&file.main, &file.draft(text), secrets, READERS)?;
        let hidden = Hidden { old: file.hidden_lines(secrets), new: file.plain_text_lines(&config, text) };
        Ok(Self { config, hidden })
    }

    /// Whether the change puts a secret into the file in plain text.
    pub fn adds_plain_text(&self) -> bool {
        self.hidden.new.len() > self.hidden.old.len()
    }

    /// The lines that differ, each with its number and a sign. Lines that hold a secret in plain text are not shown.
    pub fn changed_lines(&self, file: &ServicesFile, text: &str) -> String {
        changed_lines(file.text(), text, &self.hidden)
    }
}

impl ServicesFile {
    /// The lines of the file as it is that hold a secret in plain text, counted from 1; all lines if that is not known.
    pub fn hidden_lines(&self, secrets: &SecretCache) -> std::collections::HashSet<usize> {
        match self.configuration(secrets) {
            Some(config) => self.plain_text_lines(&config, self.text()),
            None => (1..=self.text().lines().count()).collect(),
        }
    }

    fn plain_text_lines(&self, config: &Config, text: &str) -> std::collections::HashSet<usize> {
        let file = self.path.display().to_string();
        let is_here =
            |warning: &&crate::config::Warning| warning.message == PLAIN_TEXT && *warning.file == *file;
        let warnings = config.warnings.iter().filter(is_here);
        Hidden::lines(text, warnings.map(|warning| warning.line))
    }
}
