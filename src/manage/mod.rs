//! Changes of services in the files of a configuration: what the commands and the admin API share.
//!
//! ```text
//! services_file  the file that is changed
//! plan           the configuration as it would be, and the changed lines
//! diff           the changed lines, as they are shown
//! new_secrets    files for secrets that are typed, which are removed if nothing comes of the change
//! switch         `enabled`
//! secret_files   the files that services read secrets from
//! stored_source  where a secret of a store is, as one text
//! testable       whether a service can be tested
//! error          why a change is not made
//!
//! manager        changes through the admin API
//! operation      what it may do with a service
//! edited         the text of a file after an operation
//! definition     a service as it stands in its file
//! draft          a change that is to be tested and written
//! folder         the managed folder, in which alone it writes
//! policy         what it may refer to
//! references     what the text of a service refers to
//! shown          the lines of a service without its secrets
//! rejection      why a change is not possible
//! ```

mod definition;
mod diff;
mod draft;
mod edited;
mod error;
mod folder;
mod manager;
mod new_secrets;
mod operation;
mod plan;
mod policy;
mod references;
mod rejection;
mod secret_files;
mod services_file;
mod shown;
mod stored_source;
mod switch;
mod testable;

pub use definition::Definition;
pub use diff::Hidden;
pub use draft::{Draft, Written};
pub use error::ManageError;
pub use folder::ManagedFolder;
pub use manager::Manager;
pub use new_secrets::{NewSecrets, file_source, secret_file_name};
pub use operation::{Operation, SecretPlace};
pub use plan::Plan;
pub use rejection::{Mistake, Rejection};
pub use secret_files::secret_files;
pub use services_file::ServicesFile;
pub use stored_source::{STORED_SOURCE, stored_source};
pub use switch::switched;
pub use testable::{NO_TEST_PATH, testable, why_not_tested};
