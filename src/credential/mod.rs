//! Credentials: what Sidekey writes into a request. Errors of the configuration are found when a credential
//! is built. A request only calls [`Signer::sign`], which never uses an expired token.

mod advice;
mod aws;
mod azure;
#[cfg(test)]
mod chaos;
#[expect(clippy::module_inception, reason = "the type that gives the module its name")]
mod credential;
mod dpop;
mod environment;
mod exchange;
mod fixed;
mod for_caller;
mod google;
mod header_name;
mod injection;
mod key_encoding;
mod kind;
pub mod kinds;
mod logouts;
mod metadata_url;
mod outbound;
mod owned;
mod place;
mod process;
mod proxy_authorization;
mod registry;
mod rejection;
mod requested_token;
mod rotation;
mod sensitive;
mod several;
mod signature;
mod signer;
pub mod sources;
mod stored;
pub mod stores;
mod strip_url;
mod token;
mod token_file;
mod token_source;
mod version;
mod write_head;

pub use credential::Credential;
pub use dpop::Dpop;
pub use fixed::Fixed;
pub use for_caller::ForCaller;
pub use injection::{Injection, SentSecrets};
pub use kind::{
    Build, BuildError, Entry, Kind, Refresh, SourceContext, StoreHandle, UpstreamErrors, store_or_new,
    with_previous,
};
pub use logouts::{Logouts, OpenSession};
pub use outbound::{ForwardedFields, OutboundBody, OutboundRequest};
pub use owned::Owned;
pub use proxy_authorization::{bearer_authorization, collector_headers, proxy_authorization};
pub use registry::{
    KINDS, READERS, build, explain_401, explain_failure, is_of_platform, is_rejected_with, keeps_value,
    refresh, upstream_errors, value_server, value_servers,
};
pub use rejection::Rejection;
pub use rotation::Rotating;
pub use signer::{
    BodyNeed, CredentialStatus, NotReady, PendingBody, RewrittenRequest, Signer, UpstreamResponse, Verdict,
};
pub use sources::SOURCES;
pub use token::Token;
pub use version::CredentialVersion;
pub use write_head::{ConnectionFields, write_signed_head};

use environment::EnvironmentOf;
use header_name::header_name;
use key_encoding::KeyEncoding;
use place::Place;
use requested_token::{requested_token, token_endpoint};
use sensitive::sensitive;
use signature::{MAX_SIGNED_BODY, SignatureScheme, Signing, Unsignable};
use token_source::token_source;
