//! Reads where keys come from.
//!
//! ```text
//! identity     the keys of the configuration, or another place, and a role on top
//! role         a role: `assume_role`, and that of a web identity
//! endpoint     the endpoint of a container or an instance
//! region       the region that requests are signed for
//! profile      a profile of a shared file
//! environment  the variables of the environment
//! static_keys  keys that do not expire
//! ```

mod endpoint;
mod environment;
mod identity;
mod profile;
mod region;
mod role;
mod static_keys;

pub(in crate::credential) use identity::{
    ACCESS_KEY_ID, ASSUME_ROLE, CREDENTIALS, SECRET_ACCESS_KEY, SESSION_TOKEN, identity,
};
pub(in crate::credential) use region::{REGION, region};
