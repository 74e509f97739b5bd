//! Changes of services in the files of a configuration: what the commands and the admin API share.
//!
//! ```text
//! services_file  the file that is changed
//! plan           the configuration as it would be, and the changed lines
//! diff           the changed lines, as they are shown
//! new_secrets    files for secrets that are typed, which are removed if nothing comes of the change
//! switch         `enabled`
//! secret_files   the files that services read secrets from
//! testable       whether a service can be tested
//! error          why a change is not made
//! ```

mod diff;
mod error;
mod new_secrets;
mod plan;
mod secret_files;
mod services_file;
mod switch;
mod testable;

pub use diff::Hidden;
pub use error::ManageError;
pub use new_secrets::{NewSecrets, file_source, secret_file_name};
pub use plan::Plan;
pub use secret_files::secret_files;
pub use services_file::ServicesFile;
pub use switch::switched;
pub use testable::{testable, why_not_tested};
