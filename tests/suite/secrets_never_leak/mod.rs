//! Promise 3: no secret and no token appears in a log, a metric, an error body, `Debug` output, the admin pages, or a
//! request to any host but its own.
//!
//! Every secret is a [`Canary`]: a value found nowhere else, looked for in every form it could be written in. Each test
//! also finds its canaries where they belong, so that a search that finds nothing means something.

mod a_broken_file;
mod canary;
mod debug_output;
mod every_kind_and_source;
mod grants;
mod hostile_callers;
mod hostile_endpoints;
mod hostile_upstreams;
mod outward;
mod proxies_of_the_environment;
mod traces;

use canary::{Canary, assert_none_in};
use outward::everything_shown;
