//! Simulated days in a world of faults, at paused time: how often a promise about credentials is broken, which must be never.
//!
//! ```text
//! tokens    the token store, its refresher and its signer
//! endpoint  the token endpoint of that world
//! rotation  a secret with a previous one
//! ```

mod endpoint;
mod rotation;
mod tokens;

use httparse::Header;

use super::{ForwardedFields, Injection, NotReady, OutboundBody, OutboundRequest, Signer, UpstreamResponse};
use crate::credential::CredentialVersion;

/// Signs a request as the data plane does. Returns the value that was written into `Authorization`; `None` if nothing was.
fn sign(
    signer: &dyn Signer,
    after: Option<CredentialVersion>,
) -> Result<(CredentialVersion, Option<String>), NotReady> {
    let request = OutboundRequest {
        method: "GET",
        origin: "https://api.example.com",
        authority: "api.example.com",
        base_path: "",
        path: "/x",
        query: None,
        fields: ForwardedFields::of(&[], signer.owned()),
        body: OutboundBody::Empty,
        after,
        may_probe: true,
        subject: None,
    };
    let mut injection = Injection::default();
    let version = signer.sign(&request, &mut injection)?;
    let value = injection.fields.first().map(|(_, value)| value.to_str().expect("text").to_owned());
    Ok((version, value))
}

fn response(status: u16, is_retry: bool) -> UpstreamResponse<'static> {
    const NONE: &[Header<'static>] = &[];
    UpstreamResponse { origin: "https://api.example.com", status, fields: NONE, is_retry, can_retry: true }
}
