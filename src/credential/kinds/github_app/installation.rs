//! Whose installation of the app the tokens are for.

use crate::config::reader::mapping::Mapping;

/// An installation of an app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Installation {
    /// Its ID.
    Id(u64),
    /// That of an organization or a user.
    Owner(String),
    /// That of a repository.
    Repository(String, String),
}

impl Installation {
    /// The paths below the API at which it is looked up, in turn.
    pub(super) fn lookups(&self) -> Vec<String> {
        match self {
            Self::Id(_) => Vec::new(),
            Self::Owner(owner) => {
                vec![format!("orgs/{owner}/installation"), format!("users/{owner}/installation")]
            }
            Self::Repository(owner, name) => vec![format!("repos/{owner}/{name}/installation")],
        }
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Id(id) => format!("installation {id}"),
            Self::Owner(owner) => owner.clone(),
            Self::Repository(owner, name) => format!("{owner}/{name}"),
        }
    }
}

/// Reads `installation_id`, `owner` and `repository`.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Installation> {
    let id = mapping.optional("installation_id").map(|value| value.number().map(Installation::Id));
    let owner = mapping.optional("owner").map(|value| value.parse(segment).map(Installation::Owner));
    let repository = mapping.optional("repository").map(|value| value.parse(repository));
    match (id, owner, repository) {
        (Some(one), None, None) | (None, Some(one), None) | (None, None, Some(one)) => one,
        _ => {
            mapping.value().error("one of `installation_id`, `owner` and `repository` is required");
            None
        }
    }
}

fn repository(text: &str) -> Result<Installation, String> {
    let (owner, name) = text.split_once('/').ok_or("a repository is written OWNER/NAME")?;
    Ok(Installation::Repository(segment(owner)?, segment(name)?))
}

/// A name that is one segment of a path.
pub(super) fn segment(text: &str) -> Result<String, String> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.chars().all(|c| c == '.') || !text.chars().all(is_valid) {
        return Err("letters, digits and `-_.`".into());
    }
    Ok(text.to_owned())
}
