//! The name of a header field that a credential is written to.

use crate::config::auth::placement::check_header_name;
use crate::proto::FieldName;

/// Parses the name of a header field that a credential may use.
pub(super) fn header_name(text: &str) -> Result<FieldName, String> {
    check_header_name(text)?;
    FieldName::try_from(text).map_err(|error| error.to_string())
}
