//! Secrets: the type [`Secret`], keys, where the values are read from, and how files are read.
//!
//! ```text
//! secret       one value: cannot be printed, is wiped
//! text         what a source gave, before it is a secret or a key
//! invisible    characters that a secret may not contain
//! signing_key  a key made of such a text
//! source       what a place that secrets are read from implements; the places are in `credential/sources/`
//! plain        the configuration itself, as such a place
//! cache        what sources that are polled gave, when they are due, and the connections to stores
//! echoes       secrets that a text repeats
//! file         reads a regular file, bounded in size
//! in_time      and in time
//! folder       the folders of such files
//! seal         bytes that leave the process encrypted
//! hex          digests and identifiers in digits
//! stamp        whether a file has changed, without reading it
//! write_file   writes a file completely, or not at all
//! ownership    who can change a file, or replace the files in a folder
//! ```

mod cache;
mod echoes;
mod file;
mod folder;
mod hex;
mod in_time;
mod invisible;
pub(crate) mod ownership;
mod plain;
mod public_key_info;
mod seal;
#[expect(clippy::module_inception, reason = "the type that the module is about")]
mod secret;
mod signing_key;
mod source;
mod stamp;
mod text;
mod write_file;

pub use cache::{RefreshOutcome, SecretCache, StaleSecret, StoreConnection};
pub use echoes::{Echoes, Masked};
pub use file::{
    FileError, file_metadata, open_private_file, read_file, read_pem_file, read_private_file, read_stamped,
    read_to_end,
};
pub use folder::{FolderError, ensure_private_folder, ensure_safe_folder, quoted};
pub use hex::hex;
pub use in_time::in_time;
pub use invisible::{Character, begins_with_byte_order_mark, is_invisible};
pub use plain::Plain;
pub use seal::{SealPurpose, SealingKeys, Unreadable};
pub use secret::{InvalidSecret, Secret};
pub use signing_key::{Algorithm, KeyError, PublicKey, SigningError, SigningKey};
pub use source::{Fetched, Lease, Renewal, SecretSource, Source, SourceError, WatchHint};
pub use stamp::{Stamp, Stamps};
pub use text::{NotText, SecretText};
pub use write_file::{replace_file, write_new_file};
