//! The section `tracing`, as a whole.

use std::time::Duration;

use http::{HeaderName, header};
use url::Url;

use super::environment::{fraction, header_list, milliseconds, pairs};
use super::protocol::OtlpProtocol;
use super::{endpoint, environment, protocol};
use crate::config::host::Host;
use crate::config::http_url::HTTP_URL;
use crate::config::reader::duration::DURATION;
use crate::config::reader::header::FIELDS;
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::reader::{duration, header as header_reader};
use crate::config::tls::client;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;
use crate::secret::Secret;

/// The keys of `tracing`.
pub(crate) const KEYS: Keys = &[
    Key::optional(
        "otlp_endpoint",
        HTTP_URL,
        "The collector's address for OTLP over HTTP, such as http://127.0.0.1:4318; /v1/traces is added. Without it, \
         OTEL_EXPORTER_OTLP_ENDPOINT.",
    ),
    Key::optional(
        "protocol",
        Format::Words(&protocol::WORDS),
        "The encoding of exports. Without it, OTEL_EXPORTER_OTLP_PROTOCOL.",
    )
    .or("http/protobuf"),
    Key::optional("headers", FIELDS, "Header fields of every export; a value is text or a secret."),
    Key::optional(
        "sample_ratio",
        Format::Fraction,
        "The share of the requests without a traceparent that is recorded.",
    )
    .or("1"),
    Key::optional("service_name", Format::Text, "`service.name` of the resource.").or("sidekey"),
    Key::optional("resource", Format::Names(&Names::of(Format::Text)), "Further attributes of the resource."),
    Key::optional("export_interval", DURATION, "How long a span waits to be exported with others.").or("5s"),
    Key::optional("tls", TLS, "TLS toward the collector."),
    Key::optional(
        "allow_plaintext",
        Format::Bool,
        "`headers` may go to an http:// collector on another machine.",
    )
    .or("false"),
];

/// Default of `export_interval`: that of OpenTelemetry's own exporters.
const DEFAULT_EXPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Variables that stand for `headers`.
const HEADER_VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
/// Header fields that an export always has, or that belong to the connection.
const RESERVED: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
];

/// `tracing`
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// The URL for exports.
    pub url: Url,
    /// The encoding of exports.
    pub protocol: OtlpProtocol,
    /// Header fields of every export; their values may be secret.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Ratio, from 0 to 1, of the requests without a trace context that start a trace.
    pub sample_ratio: f64,
    /// `service.name` of the resource.
    pub service_name: String,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Longest time that a span waits until it is exported.
    pub export_interval: Duration,
    /// TLS toward the collector.
    pub tls: Tls,
}

/// Reads the section.
pub(crate) fn read(section: &Value<'_>) -> Option<Tracing> {
    let mut mapping = section.mapping()?;
    let url = mapping.optional("otlp_endpoint");
    let encoding = mapping.optional("protocol");
    let fields = mapping.optional("headers");
    let ratio = mapping.optional("sample_ratio");
    let name = mapping.optional("service_name");
    let resource = mapping.optional("resource");
    let interval = mapping.optional("export_interval");
    let tls = mapping.optional("tls");
    let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    mapping.reject_unknown_keys();

    let environment = |name: &str| environment::variable(section, name);
    let url = endpoint::read(url.as_ref(), section);
    let protocol = protocol::read(encoding.as_ref(), section);
    let fields = match fields {
        Some(value) => header_reader::fields(&value, &RESERVED),
        None => environment::first(section, &HEADER_VARIABLES)
            .and_then(|found| found.read(|text| header_list(text, &RESERVED)))
            .unwrap_or_default(),
    };
    let ratio = match &ratio {
        Some(value) => value.fraction(),
        None => environment("OTEL_TRACES_SAMPLER_ARG").map_or(Some(1.0), |found| found.read(fraction)),
    };
    let resource = match resource {
        Some(value) => attributes(&value),
        None => {
            environment("OTEL_RESOURCE_ATTRIBUTES").and_then(|found| found.read(pairs)).unwrap_or_default()
        }
    };
    // Resource attributes from the environment may contain the name.
    let given = || resource.iter().find(|(key, _)| key == "service.name").map(|(_, value)| value.clone());
    let name = match &name {
        Some(value) => value.parse(non_empty),
        None => environment("OTEL_SERVICE_NAME")
            .and_then(|found| found.read(|text| Ok(text.to_owned())))
            .or_else(given)
            .or(Some("sidekey".into())),
    };
    let interval = match &interval {
        Some(value) => duration::positive(value),
        None => environment("OTEL_BSP_SCHEDULE_DELAY")
            .map_or(Some(DEFAULT_EXPORT_INTERVAL), |found| found.read(milliseconds)),
    };
    let https = url.as_ref().map(|url| url.scheme() == "https");
    let tls = tls.map_or_else(Tls::default, |value| client::read(&value, https));
    if tls.server_name.is_some() {
        section
            .error("`tls.server_name` is for upstreams only; a collector is verified by the host of its URL");
    }
    let url = url?;
    let is_near = url.host().is_some_and(|host| Host::from(host).is_loopback());
    if url.scheme() == "http" && !is_near && !fields.is_empty() && !plaintext {
        section.error(
            "`http://` would send the `headers` unencrypted; use `https://`, or allow it with `allow_plaintext: true`",
        );
    }
    Some(Tracing {
        url,
        protocol: protocol?,
        headers: fields,
        sample_ratio: ratio?,
        service_name: name?,
        resource,
        export_interval: interval?,
        tls,
    })
}

fn non_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("empty".into()) } else { Ok(text.to_owned()) }
}

fn attributes(value: &Value<'_>) -> Vec<(String, String)> {
    let read = |(key, value): &(&str, Value<'_>)| {
        if key.is_empty() {
            value.error("an attribute has an empty name");
        }
        Some(((*key).to_owned(), value.text()?.to_owned()))
    };
    value.entries().unwrap_or_default().iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]

    use super::*;
    use crate::config::Config;

    fn parsed(tracing: &str, environment: &[(&str, &str)]) -> Result<Tracing, String> {
        let text = format!(
            "tracing: {tracing}\nservices: {{ a: {{ upstream: 'https://a.example', auth: {{ type: bearer, token: t }} }} }}"
        );
        let value =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Config::parse_with(&text, "a.yaml", &value, crate::credential::READERS)
            .map(|config| config.tracing.unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tracing_needs_only_an_endpoint() {
        let tracing = parsed("{ otlp_endpoint: 'http://otel.example:4318/base/' }", &[]).unwrap();
        assert_eq!(tracing.url.as_str(), "http://otel.example:4318/base/v1/traces");
        assert_eq!((tracing.sample_ratio, tracing.service_name.as_str()), (1.0, "sidekey"));
        assert!(tracing.headers.is_empty() && tracing.resource.is_empty());
        assert_eq!(tracing.protocol, OtlpProtocol::HttpProtobuf);
        let whole = "{ otlp_endpoint: 'https://otel.example/v1/traces', sample_ratio: 0.25 }";
        let whole = parsed(whole, &[]).unwrap();
        assert_eq!((whole.url.as_str(), whole.sample_ratio), ("https://otel.example/v1/traces", 0.25));
        let none = parsed("{ otlp_endpoint: 'https://otel.example', sample_ratio: 0 }", &[]).unwrap();
        assert_eq!(none.sample_ratio, 0.0);
    }

    #[test]
    fn tracing_config_overrides_the_environment() {
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b,x-other=c"),
            ("OTEL_SERVICE_NAME", "billing-sidecar"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=p,service.name=whole"),
        ];
        let tracing = parsed("{}", &environment).unwrap();
        assert_eq!(tracing.url.as_str(), "http://127.0.0.1:4318/v1/traces");
        let names: Vec<_> = tracing.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-key", "x-other"]);
        assert!(tracing.headers[0].1.ct_eq(b"a b"));
        assert_eq!((tracing.sample_ratio, tracing.service_name.as_str()), (0.5, "billing-sidecar"));
        assert_eq!(tracing.resource[0], ("k8s.pod.name".into(), "p".into()));
        let delay = [environment[0], ("OTEL_BSP_SCHEDULE_DELAY", "250")];
        assert_eq!(parsed("{}", &delay).unwrap().export_interval, Duration::from_millis(250));
        let own = "{ otlp_endpoint: 'https://own.example', headers: { a: b }, sample_ratio: 1.0, service_name: own, resource: { c: d } }";
        let tracing = parsed(own, &environment).unwrap();
        assert_eq!(
            (tracing.url.as_str(), tracing.service_name.as_str()),
            ("https://own.example/v1/traces", "own")
        );
        assert_eq!((tracing.headers.len(), tracing.sample_ratio, tracing.resource.len()), (1, 1.0, 1));
        let traces = [environment[0], ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/x")];
        assert_eq!(parsed("{}", &traces).unwrap().url.as_str(), "https://traces.example/x");
        let blank = [environment[0], ("OTEL_SERVICE_NAME", " ")];
        assert_eq!(parsed("{}", &blank).unwrap().service_name, "sidekey");
        assert_eq!(parsed("{}", &[environment[0], environment[4]]).unwrap().service_name, "whole");
    }

    #[test]
    fn tracing_protocol_is_that_of_the_key_or_a_variable() {
        const ALL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
        let read = |keys: &str, environment: &[(&str, &str)]| {
            parsed(&format!("{{ otlp_endpoint: 'http://127.0.0.1:4318' {keys} }}"), environment)
        };
        let protocol = |keys: &str, environment: &[(&str, &str)]| read(keys, environment).unwrap().protocol;
        assert_eq!(protocol(", protocol: http/json", &[]), OtlpProtocol::HttpJson);
        assert_eq!(protocol("", &[(ALL, "http/json")]), OtlpProtocol::HttpJson);
        assert_eq!(protocol("", &[(ALL, "HTTP/JSON")]), OtlpProtocol::HttpJson);
        assert_eq!(protocol("", &[(ALL, " ")]), OtlpProtocol::HttpProtobuf);
        let traces_first = [(ALL, "http/json"), (TRACES, "http/protobuf")];
        assert_eq!(protocol("", &traces_first), OtlpProtocol::HttpProtobuf);
        assert_eq!(protocol(", protocol: http/json", &[(ALL, "grpc")]), OtlpProtocol::HttpJson);
        let error = read("", &[(ALL, "grpc")]).unwrap_err();
        assert!(error.contains(ALL) && error.contains("http/protobuf"), "{error}");
    }

    #[test]
    fn invalid_variable_is_named_but_not_shown() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "CANARY"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "CANARY"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x y=CANARY"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x=CANARY%0a"),
            ("OTEL_TRACES_SAMPLER_ARG", "2CANARY"),
            ("OTEL_BSP_SCHEDULE_DELAY", "CANARY"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "CANARY"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=CANARY"),
        ] {
            let environment = [(name, value), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")];
            let error = parsed("{}", &environment).unwrap_err();
            assert!(error.contains(name) && !error.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn tracing_headers_require_tls() {
        let far = |more: &str| {
            parsed(&format!("{{ otlp_endpoint: 'http://otel.example', headers: {{ a: b }} {more} }}"), &[])
        };
        assert!(far("").unwrap_err().contains("unencrypted"));
        assert!(far(", allow_plaintext: true").is_ok());
        assert!(parsed("{ otlp_endpoint: 'http://localhost:4318', headers: { a: b } }", &[]).is_ok());
    }
}
