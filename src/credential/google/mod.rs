//! What the kinds of credentials for Google's APIs have in common.
//!
//! ```text
//! wanted            an access token with scopes, or an ID token for an audience
//! metadata          tokens of the metadata server
//! external_account  tokens for the token of another platform (workload identity federation)
//! federation_file   the file that describes such a federation
//! hosts             the servers that may be named in it
//! credential_file   where that file, or the key of a service account, is
//! subject           the token of the other platform
//! subject_command   a command that prints it
//! aws_subject       that of AWS: a request that is signed
//! impersonation     tokens of a service account that the federation may take on
//! advice            what to look at if something is refused
//! ```

mod advice;
mod aws_subject;
mod credential_file;
pub(super) mod external_account;
mod federation_file;
mod hosts;
mod impersonation;
pub(super) mod metadata;
mod subject;
mod subject_command;
mod wanted;

pub(super) use advice::{explain_connection, explain_rejection};
pub(super) use aws_subject::{AWS, AwsWorkload};
pub(super) use credential_file::credential_file;
pub(super) use federation_file::{FederationFile, OptIns, TOKEN_SERVICE};
pub(super) use wanted::{AUDIENCE, SCOPES, Wanted};
