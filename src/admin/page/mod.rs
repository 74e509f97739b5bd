//! The status page: static files. A script in the page renders what the API returns.

mod files;

pub(super) use files::router;
