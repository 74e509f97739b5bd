//! OAuth2: grants, logins, token requests and responses, refresh, retry after a 401, and stored state.

pub mod caller_tokens;
mod discovery;
mod dpop;
mod grants;
mod grpc_unauthenticated;
mod login;
mod refresh_schedule_fleet;
mod retry_on_401;
pub mod setup;
mod state_folder;
mod state_full;
mod state_persistence;
mod state_survives_kill;
mod token_ends;
mod token_expiry_rounding;
mod token_field;
mod token_request;
mod token_response_forms;
mod token_response_quirks;
mod waiting;
