//! `tracing`: the export of spans of requests and token requests to an OpenTelemetry collector.
//!
//! A missing key is replaced by the environment variable that OpenTelemetry defines for it. Without the
//! section `tracing` no variable has an effect.

use std::time::Duration;

use http::{HeaderName, header};
use percent_encoding::percent_decode_str;
use url::Url;

use super::host::Host;
use super::http_url;
use super::http_url::UrlPolicy;
use super::reader::interpolate::variable;
use super::reader::value::Value;
use super::reader::{duration, header as header_reader};
use super::tls::client;
use super::tls::model::Tls;
use crate::secret::Secret;

/// The path that is added to the address of a collector (OTLP/HTTP).
const TRACES_PATH: &str = "/v1/traces";

/// Default of `export_interval`: that of OpenTelemetry's own exporters.
const DEFAULT_EXPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Longest value of `OTEL_BSP_SCHEDULE_DELAY`, in milliseconds.
const MAX_EXPORT_INTERVAL_MS: u64 = 3_600_000;

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

pub(super) fn read(section: &Value<'_>) -> Option<Tracing> {
    let mut mapping = section.mapping()?;
    let url = mapping.optional("otlp_endpoint");
    let fields = mapping.optional("headers");
    let ratio = mapping.optional("sample_ratio");
    let name = mapping.optional("service_name");
    let resource = mapping.optional("resource");
    let interval = mapping.optional("export_interval");
    let tls = mapping.optional("tls");
    let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    mapping.reject_unknown_keys();

    let environment = |name: &str| from_environment(section, name);
    let url = match &url {
        Some(value) => value.parse(base),
        None => url_from_environment(section),
    };
    let fields = match fields {
        Some(value) => header_reader::fields(&value, &RESERVED),
        None => ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]
            .into_iter()
            .find_map(environment)
            .and_then(|found| found.read(header_list))
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
            .map(|found| found.value)
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
        headers: fields,
        sample_ratio: ratio?,
        service_name: name?,
        resource,
        export_interval: interval?,
        tls,
    })
}

fn url_from_environment(section: &Value<'_>) -> Option<Url> {
    if let Some(found) = from_environment(section, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        return found.read(whole);
    }
    if let Some(found) = from_environment(section, "OTEL_EXPORTER_OTLP_ENDPOINT") {
        return found.read(base);
    }
    section.error(
        "`otlp_endpoint` is required, unless the environment variable OTEL_EXPORTER_OTLP_ENDPOINT is set",
    );
    None
}

/// An environment variable that is set and not empty.
struct Variable<'i, 'a> {
    section: &'i Value<'a>,
    name: String,
    value: String,
}

fn from_environment<'i, 'a>(section: &'i Value<'a>, name: &str) -> Option<Variable<'i, 'a>> {
    let value = section.environment()(name)?.into_string().ok()?;
    let value = value.trim().to_owned();
    // The specification treats an empty variable as unset.
    (!value.is_empty()).then(|| Variable { section, name: name.to_owned(), value })
}

impl Variable<'_, '_> {
    fn read<T>(self, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let report = |message| self.section.error(format!("{}: {message}", variable(&self.name)));
        read(&self.value).map_err(report).ok()
    }
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

/// Parses `name=value,…` of OTEL_EXPORTER_OTLP_HEADERS. No message repeats any of it.
fn header_list(text: &str) -> Result<Vec<(HeaderName, Secret)>, String> {
    let read = |(name, value): (String, String)| {
        let value = Secret::new(value).map_err(|error| error.to_string())?;
        header_reader::value(&value)?;
        Ok((header_reader::name(&name, &RESERVED)?, value))
    };
    pairs(text)?.into_iter().map(read).collect()
}

/// Parses `key=value,…` with percent-encoded values, as in W3C Baggage.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty())?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((key.trim().to_owned(), value.into_owned()))
    };
    let written = text.split(',').filter(|pair| !pair.trim().is_empty());
    let read = |text| pair(text).ok_or_else(|| "not a list of the form `key=value,key=value`".to_owned());
    written.map(read).collect()
}

fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "not a number from 0 to 1".into())
}

/// Parses a number of milliseconds without a unit, as OpenTelemetry's variables have it.
fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_EXPORT_INTERVAL_MS).contains(number));
    number.map(Duration::from_millis).ok_or_else(|| "not a number of milliseconds from 1 to 3600000".into())
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
        Config::parse_with(&text, "a.yaml", &value, crate::credential::AUTH_KINDS)
            .map(|config| config.tracing.unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tracing_needs_only_an_endpoint() {
        let tracing = parsed("{ otlp_endpoint: 'http://otel.example:4318/base/' }", &[]).unwrap();
        assert_eq!(tracing.url.as_str(), "http://otel.example:4318/base/v1/traces");
        assert_eq!((tracing.sample_ratio, tracing.service_name.as_str()), (1.0, "sidekey"));
        assert!(tracing.headers.is_empty() && tracing.resource.is_empty());
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
    fn invalid_variable_is_named_but_not_shown() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "CANARY"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "CANARY"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x y=CANARY"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x=CANARY%0a"),
            ("OTEL_TRACES_SAMPLER_ARG", "2CANARY"),
            ("OTEL_BSP_SCHEDULE_DELAY", "CANARY"),
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
