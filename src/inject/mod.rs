//! Adds the sidecar to Kubernetes objects: the function that `sidekey inject` and the admission webhook share.
//!
//! Everything here is pure: from an object and settings to operations, from text to text.
//!
//! ```text
//! decision       one object: the operations that add the sidecar, or why there are none
//! kinds          which kinds of object have a Pod, and where
//! pod            what a Pod has already
//! refusal        what stands in the way of a sidecar
//! sidecar        the container and the volumes that are added
//! proxy_env      the variables that lead an app to Sidekey as its proxy
//! settings       how the sidecar is to be
//! annotations    what a Pod says about it
//! quantity names the formats of values
//! operation      the subset of JSON Patch (RFC 6902) that this needs
//! text/          the same in the text of manifests, and out again
//! ```

mod annotations;
mod decision;
mod kinds;
mod names;
mod operation;
mod pod;
mod proxy_env;
mod quantity;
mod refusal;
mod settings;
mod sidecar;
pub mod text;

pub use annotations::{ANNOTATIONS, AnnotationError, INJECT, INJECTED, PREFIX};
pub use decision::{Decision, InjectError, Injection, decide};
pub use names::{ImageRef, ObjectName};
pub use operation::{Operation, apply};
pub use quantity::Quantity;
pub use refusal::Refusal;
pub use settings::{KubernetesVersion, NativeSidecar, ProxyEnv, PullPolicy, Settings};
pub use sidecar::CONTAINER;
