//! Access for [`fuzzing`](crate::fuzzing) to what is otherwise private.

use super::path::CanonicalPath;

/// The segments of a path, and whether a slash follows the last one.
pub(crate) fn segments<'a>(path: &'a CanonicalPath<'_>) -> (Vec<&'a str>, bool) {
    (path.segments.iter().map(|segment| &**segment).collect(), path.ends_in_slash)
}
