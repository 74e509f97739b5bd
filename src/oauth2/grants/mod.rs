//! One file for each grant, which is a `TokenSource`. Grants that get refresh tokens use them. `user_login`
//! is what the two grants that begin with a person have in common, `unclear_failures` what grants do that have
//! another way to a token; `build` chooses the grant that is configured.

mod account_credentials;
mod authorization_code;
mod build;
mod client_credentials;
mod device_code;
mod for_caller;
mod jwt_bearer;
mod password;
mod refresh_token;
mod token_exchange;
mod unclear_failures;
mod user_login;

pub use account_credentials::AccountCredentials;
pub use authorization_code::{AuthorizationError, AuthorizationRequest};
pub use build::{shared, source};
pub use client_credentials::ClientCredentials;
pub use device_code::DeviceAuthorization;
pub use for_caller::CallerGrant;
pub use jwt_bearer::JwtBearerGrant;
pub use password::PasswordGrant;
pub use refresh_token::RefreshTokenGrant;
pub use token_exchange::ExchangeGrant;
pub use user_login::UserLoginGrant;
