//! `defaults`: keys of services that do not have them.
//!
//! A key of the service's own replaces that of the defaults as a whole. The mappings in [`MERGED`] are merged instead: the service
//! has those of their keys that it does not have itself.

use std::rc::Rc;

use crate::config::reader::report::child;
use crate::config::reader::tree::{Kind, Node};

/// The mappings that are merged by key, one level deep. Others belong together: a password of the defaults must not go to another
/// proxy than that of the defaults.
const MERGED: [&str; 6] = ["circuit_breaker", "headers", "labels", "max_response_head", "pool", "timeouts"];

/// The path of `defaults`.
pub(crate) const PATH: &str = "defaults";

/// Adds to a service what it has not, out of `defaults`. What is added keeps its location and its path.
pub(crate) fn add(defaults: &Node, service: &mut Node) {
    let (Kind::Map(defaults), Kind::Map(keys)) = (&defaults.kind, &mut service.kind) else { return };
    for (key, default) in defaults {
        let path = child(PATH, key);
        match keys.iter_mut().find(|(name, _)| name == key) {
            None => keys.push((key.clone(), placed(default, &path))),
            Some((_, own)) if MERGED.contains(&key.as_str()) => merge(default, own, &path),
            Some(_) => {}
        }
    }
}

fn merge(default: &Node, own: &mut Node, path: &str) {
    let (Kind::Map(defaults), Kind::Map(keys)) = (&default.kind, &mut own.kind) else { return };
    for (key, default) in defaults {
        if !keys.iter().any(|(name, _)| name == key) {
            keys.push((key.clone(), placed(default, &child(path, key))));
        }
    }
}

/// A copy of a default, which keeps a path that it has from other defaults.
fn placed(default: &Node, path: &str) -> Node {
    Node { path: Some(default.path.clone().unwrap_or_else(|| Rc::from(path))), ..default.clone() }
}
