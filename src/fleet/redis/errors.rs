//! What the errors of the library mean.

use redis::{ErrorKind, RedisError};

use crate::fleet::store::StoreError;

const REJECTED: &str = "it rejects `username` and `password` (WRONGPASS)";

/// Whether the server has answered the command, and can answer others: another server or connection would not answer otherwise.
pub(super) fn is_answer(error: &RedisError) -> bool {
    match error.code() {
        // It is a replica now, or about to be one, or still starting, or without its replicas.
        Some(
            "READONLY" | "LOADING" | "MASTERDOWN" | "UNBLOCKED" | "NOREPLICAS" | "CLUSTERDOWN" | "MOVED"
            | "ASK" | "TRYAGAIN",
        ) => false,
        Some(_) => true,
        None => false,
    }
}

/// The error in words. Of an answer only its code is shown: the rest is text of the store's own.
pub(super) fn explain(error: &RedisError) -> StoreError {
    let code =
        error.code().filter(|code| code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
    let text = match code {
        _ if error.kind() == ErrorKind::AuthenticationFailed => REJECTED.into(),
        Some("WRONGPASS") => REJECTED.into(),
        Some("NOAUTH") => "it requires a password (NOAUTH)".into(),
        Some("NOPERM") => {
            "it does not permit this user what Sidekey needs (NOPERM); docs/FLEET.md has the rule".into()
        }
        Some("OOM") => "it has no memory left (OOM)".into(),
        Some("READONLY") => "it is a replica, which cannot be written (READONLY)".into(),
        Some("LOADING") => "it is starting (LOADING)".into(),
        Some("MISCONF") => "it cannot save its data, and accepts no writes (MISCONF)".into(),
        Some("NOREPLICAS") => "it has too few replicas to accept writes (NOREPLICAS)".into(),
        Some("CLUSTERDOWN") => "the cluster is down (CLUSTERDOWN)".into(),
        Some("TRYAGAIN") => "the slot of the records is being moved to another node (TRYAGAIN)".into(),
        Some(code @ ("MOVED" | "ASK" | "CROSSSLOT")) => format!(
            "it is a node of a cluster that does not have the records ({code}): with `cluster: true` the one that has them is found"
        ),
        Some(code) => format!("it answered with the error {code}"),
        None if error.is_timeout() => "it did not answer in time".into(),
        None if error.is_io_error() => "the connection was lost".into(),
        None => format!("the protocol failed ({})", error.category()),
    };
    StoreError(text)
}
