//! Settings of `type: oauth2`: the grant, the client authentication, the token endpoint.

pub(super) mod caller_tokens;
pub(super) mod client_auth;
mod diff;
pub(super) mod dpop;
pub(super) mod grant;
pub(super) mod issuer;
pub(super) mod jwt_bearer;
mod params;
pub(super) mod schema;
pub(super) mod settings;
pub(super) mod token_exchange;
pub(super) mod token_field;
pub(super) mod token_request;
