//! Token requests of each grant on the wire, and the use of their responses.

mod jwt_bearer;
mod password;
mod refresh_token;
mod setup;
mod token_exchange;
