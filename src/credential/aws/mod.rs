//! AWS Signature Version 4: what `type: aws_sigv4` is made of.
//!
//! ```text
//! encode     percent-encoding as AWS does it
//! keys       the keys of an identity
//! payload    what is signed of a body
//! clock      the difference between two clocks
//! signer     signs requests
//! path       the path of the canonical request
//! query      the query of the canonical request
//! canonical  the canonical request: what is signed
//! time       timestamps
//! signature  the string to sign, the key, the signature
//! ```
//!
//! Source: "Create a signed AWS API request" in the IAM User Guide. The tests run AWS's own vectors.

mod canonical;
mod clock;
mod encode;
mod keys;
mod path;
mod payload;
mod query;
mod signature;
mod signer;
mod time;

pub(super) use keys::AwsKeys;
pub(super) use payload::PayloadRule;
pub(super) use signer::{AwsSigner, SigningScope};

#[cfg(test)]
mod tests;
