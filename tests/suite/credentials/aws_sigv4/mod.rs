//! `type: aws_sigv4` on the wire: what is signed is what is sent.

mod bodies;
mod clock;
mod identities;
mod signatures;
mod verifier;

pub use verifier::verify;

/// The access key of AWS's examples.
const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A service `api` that signs for `service`, with more keys of `auth` and of the service.
fn config(upstream: &str, service: &str, auth: &str, more: &str) -> String {
    format!(
        "api: {{ upstream: '{upstream}', auth: {{ type: aws_sigv4, service: {service}, region: eu-west-1, access_key_id: {ID}, \
         secret_access_key: {SECRET}{auth} }}{more} }}"
    )
}
