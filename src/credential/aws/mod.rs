//! AWS Signature Version 4 and 4a: what `type: aws_sigv4` is made of.
//!
//! ```text
//! signer       signs requests
//! payload      what is signed of a body
//! chunked      a body in chunks that the caller signed
//! clock        the difference between two clocks
//! signature    the string to sign, the key, the signature
//! v4a          the key of version 4a
//! canonical    the canonical request: what is signed
//! path, query  their form in the canonical request
//! encode       percent-encoding as AWS does it
//! time         timestamps
//! upstream_errors  what errors of services mean
//!
//! settings     reads where keys come from
//! profile      reads a shared credentials file
//! identity     where keys come from
//! source       gets keys that expire
//! shared       from another process of a fleet
//! sts          from STS, for a role
//! metadata     from an instance or a container
//! refusal      what an answer without a key means
//! signed_post  a request that Sidekey makes for itself
//! xml          reads an answer of STS
//! credentials  keys that expire
//! keys         the keys of an identity
//! ```
//!
//! Source: "Create a signed AWS API request" in the IAM User Guide. The tests run AWS's own vectors.

mod canonical;
mod chunked;
mod clock;
mod credentials;
mod encode;
mod identity;
mod keys;
mod metadata;
mod path;
mod payload;
mod profile;
mod query;
mod refusal;
mod settings;
mod shared;
mod signature;
mod signed_post;
mod signer;
mod source;
mod sts;
mod time;
mod upstream_errors;
mod v4a;
mod xml;

pub(super) use clock::TOLERANCE as CLOCK_TOLERANCE;
pub(super) use credentials::AwsCredentials;
pub(super) use identity::Identity;
pub(super) use keys::AwsKeys;
pub(super) use payload::PayloadRule;
pub(super) use settings::{
    ACCESS_KEY_ID, ASSUME_ROLE, CREDENTIALS, REGION, SECRET_ACCESS_KEY, SESSION_TOKEN, identity, region,
};
pub(super) use signed_post::{SignedPost, authority};
pub(super) use signer::{AwsSigner, Keys, Region, SigningScope};
pub(super) use source::{keys_source, source};
pub(super) use upstream_errors::UPSTREAM_ERRORS;

#[cfg(test)]
mod tests;
