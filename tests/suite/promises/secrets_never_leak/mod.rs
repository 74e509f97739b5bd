//! Promise 3: no secret and no token appears in a log, a metric, an error body, `Debug` output, the admin
//! pages, or a request to any host other than its own.
//!
//! Every secret is a [`Canary`]: a unique value that is searched for in every form it could be written in.
//! Each test also finds its canaries where they belong, so that a search without a result is meaningful.

mod broken_config;
mod caller_tokens;
mod canary;
mod debug_output;
mod grants;
mod hostile_callers;
mod hostile_endpoints;
mod hostile_upstreams;
mod kinds_and_sources;
mod observed;
mod platforms;
mod proxy_environment;
mod traces;

use canary::{Canary, assert_none_in};
use observed::everything_shown;
