//! What the operations answer. Nothing in it is secret.

use serde::Serialize;
use utoipa::ToSchema;

use crate::diagnose::TestReport;
use crate::manage::Mistake;

/// A service as it stands in its file.
#[derive(Serialize, ToSchema)]
#[schema(as = Definition)]
pub(in crate::admin) struct DefinitionView {
    /// Its name.
    pub(super) service: String,
    /// The file that it stands in.
    pub(super) file: String,
    /// Whether it can be changed here: whether the file is one of the folder `admin.manage`.
    pub(super) managed: bool,
    /// Its lines. A comment stands for each line that has, or may have, a secret in plain text.
    pub(super) lines: String,
    /// Its secrets that are read from elsewhere.
    pub(super) secrets: Vec<SecretView>,
    /// Names the text of the file.
    pub(super) revision: String,
}

/// Where a secret is.
#[derive(Serialize, ToSchema)]
#[schema(as = SecretPlace)]
pub(super) struct SecretView {
    /// The path of its key in the service, such as `auth.token`.
    pub(super) key: String,
    /// Where it is read from.
    pub(super) source: String,
}

/// The outcome of a change, or of a dry run of it.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = Change)]
pub(in crate::admin) struct ChangeView {
    /// Whether the change is possible and its test, if there was one, succeeded.
    pub(super) ok: bool,
    /// Whether it is written.
    pub(super) written: bool,
    /// The outcome in plain words.
    pub(super) message: String,
    /// The service.
    pub(super) service: String,
    /// The file that has it, or would have it; `null` if the request has mistakes.
    pub(super) file: Option<String>,
    /// Whether it can be written: whether the file is one of the folder `admin.manage`.
    pub(super) managed: bool,
    /// The lines that differ, each with its number in the file and `+` or `-`.
    pub(super) diff: String,
    /// The lines of the service after the change; `null` if it is removed.
    pub(super) lines: Option<String>,
    /// What is wrong with what was asked for.
    pub(super) errors: Vec<MistakeView>,
    /// The outcome of the test; `null` if there was none.
    pub(super) test: Option<TestReport>,
    /// Why there was no test; `null` if there was one, or none was due.
    pub(super) not_tested: Option<String>,
    /// Names the text of the file that the change was made for.
    pub(super) revision: Option<String>,
    /// Whether the service runs now; `null` if nothing was written.
    pub(super) running: Option<bool>,
    /// New files of secrets.
    pub(super) new_secret_files: Vec<String>,
    /// Files of secrets that no service uses any more. They are still there.
    pub(super) unused_secret_files: Vec<String>,
}

/// Something that is wrong with what was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Mistake)]
pub(super) struct MistakeView {
    /// The question, secret or field of the request that it concerns, if it concerns one.
    field: Option<String>,
    /// The file that would have it.
    file: Option<String>,
    /// The line there.
    line: Option<usize>,
    /// The path of the key, such as `services.crm.upstream`.
    path: Option<String>,
    /// What is wrong, and what is allowed.
    message: String,
}

impl From<Mistake> for MistakeView {
    fn from(mistake: Mistake) -> Self {
        let Mistake { field, file, line, path, message } = mistake;
        Self { field, file, line, path, message }
    }
}
