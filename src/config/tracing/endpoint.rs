//! `tracing.otlp_endpoint`: the URL of exports.

use url::Url;

use super::environment;
use crate::config::http_url;
use crate::config::http_url::UrlPolicy;
use crate::config::reader::value::Value;

/// The path that is added to the address of a collector (OTLP/HTTP).
const TRACES_PATH: &str = "/v1/traces";

/// Reads `otlp_endpoint`, or the variables that stand for it.
pub(super) fn read(value: Option<&Value<'_>>, section: &Value<'_>) -> Option<Url> {
    if let Some(value) = value {
        return value.parse(base);
    }
    if let Some(found) = environment::variable(section, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        return found.read(whole);
    }
    if let Some(found) = environment::variable(section, "OTEL_EXPORTER_OTLP_ENDPOINT") {
        return found.read(base);
    }
    section.error(
        "`otlp_endpoint` is required, unless the environment variable OTEL_EXPORTER_OTLP_ENDPOINT is set",
    );
    None
}

/// Parses the address of a collector and adds the path of traces.
fn base(text: &str) -> Result<Url, String> {
    let mut url = whole(text)?;
    let path = url.path().trim_end_matches('/');
    if !path.ends_with(TRACES_PATH) {
        let path = format!("{path}{TRACES_PATH}");
        url.set_path(&path);
    }
    Ok(url)
}

/// Parses a URL that is used without a further path.
fn whole(text: &str) -> Result<Url, String> {
    let url = http_url::parse(text, &UrlPolicy { plaintext: true, query: false });
    let url =
        url.map_err(|message| message.replace("put them under `auth`", "put them under `tracing.headers`"))?;
    if url.port() == Some(4317) {
        return Err(
            "4317 is the port of OTLP over gRPC; Sidekey uses OTLP over HTTP, whose port is usually 4318"
                .into(),
        );
    }
    Ok(url)
}
