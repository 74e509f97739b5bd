//! `tracing.protocol`: the encoding of exports.

use super::environment;
use crate::config::reader::value::Value;

/// `tracing.protocol`: the encoding of exports. Both are OTLP over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// Binary protobuf, which every collector accepts.
    #[default]
    HttpProtobuf,
    /// The JSON mapping of protobuf.
    HttpJson,
}

pub(super) const WORDS: [(&str, OtlpProtocol); 2] =
    [("http/protobuf", OtlpProtocol::HttpProtobuf), ("http/json", OtlpProtocol::HttpJson)];

/// Reads `protocol`, or the variables that stand for it.
pub(super) fn read(value: Option<&Value<'_>>, section: &Value<'_>) -> Option<OtlpProtocol> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    match value {
        Some(value) => value.one_of(&WORDS),
        None => environment::first(section, &names)
            .map_or(Some(OtlpProtocol::default()), |found| found.read(parse)),
    }
}

/// Parses the value of a variable. OpenTelemetry compares it without regard to case.
fn parse(text: &str) -> Result<OtlpProtocol, String> {
    if text.eq_ignore_ascii_case("grpc") {
        return Err(
            "Sidekey exports by OTLP over HTTP, not over gRPC; set `protocol`, or `http/protobuf` here"
                .into(),
        );
    }
    let found = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, protocol)| *protocol).ok_or_else(|| "neither `http/protobuf` nor `http/json`".into())
}
