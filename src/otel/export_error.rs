//! The cause of a failed export, for the log. It repeats nothing that the collector wrote.

use http::StatusCode;

use crate::tls::error_text::error_text;

/// Longest text of a lower layer that is logged, in characters.
const MAX_CAUSE_LENGTH: usize = 200;

/// The message for a request without a response.
pub(super) fn no_response(error: &reqwest::Error) -> String {
    let summary = match () {
        () if error.is_timeout() => return "the collector did not answer in time".into(),
        () if error.is_connect() => "cannot connect to the collector",
        () => "the connection to the collector broke",
    };
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let Some(root) = causes.last() else { return summary.into() };
    let root: String = error_text(root).chars().filter(|c| !c.is_control()).take(MAX_CAUSE_LENGTH).collect();
    format!("{summary}: {root}")
}

/// The message for a response that is not a success.
pub(super) fn rejected(status: StatusCode) -> String {
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (`tracing.headers` must authenticate Sidekey)",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            " (`tracing.otlp_endpoint` must be its address for OTLP over HTTP, usually with port 4318)"
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => " (`tracing.protocol` must be one that it accepts)",
        _ => "",
    };
    format!("the collector answered {}{hint}", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejection_names_the_setting_to_check() {
        for (status, setting) in [
            (401, "tracing.headers"),
            (403, "tracing.headers"),
            (404, "tracing.otlp_endpoint"),
            (405, "tracing.otlp_endpoint"),
            (415, "tracing.protocol"),
        ] {
            let message = rejected(StatusCode::from_u16(status).unwrap());
            assert!(message.contains(&status.to_string()) && message.contains(setting), "{message}");
        }
        assert_eq!(rejected(StatusCode::BAD_GATEWAY), "the collector answered 502");
    }
}
