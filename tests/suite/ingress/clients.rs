//! HTTP clients of Python and JavaScript by each kind of ingress: the same calls give the same responses as
//! without Sidekey, and the upstream receives the same requests.

use serde_json::Value;

use super::setup::ca_for;
use crate::harness::{AiohttpApi, Pki, Settings, Sidekey, node_clients, python_clients};

/// The API, and a Sidekey with every kind of ingress.
async fn started(pki: &Pki) -> (AiohttpApi, Sidekey) {
    let api = AiohttpApi::start(pki).await;
    let (cert, key) = ca_for("localhost").await;
    let config = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}
services:
  api:
    upstream: https://localhost:{}/v2
    listen: 127.0.0.1:0
    tls: {{ ca_file: '{}' }}
    auth: {{ type: bearer, token: t0ken }}
",
        api.port,
        pki.ca_file()
    );
    let sidekey = Sidekey::configured(&config).file("ca.crt", &cert).file("ca.key", &key).start().await;
    (api, sidekey)
}

/// Every kind of ingress that an app can be configured for, by name.
fn ingresses(api: &AiohttpApi, sidekey: &Sidekey) -> Vec<(&'static str, Settings)> {
    let proxy = Some(sidekey.url(""));
    let ca = sidekey.dir().join("ca.crt").to_str().map(str::to_owned);
    vec![
        ("path prefix", Settings { base: sidekey.url("/api"), ..Settings::default() }),
        ("own port", Settings { base: sidekey.service_url("api", ""), ..Settings::default() }),
        (
            "HTTP_PROXY",
            Settings {
                base: format!("http://localhost:{}/v2", api.port),
                proxy: proxy.clone(),
                ..Settings::default()
            },
        ),
        (
            "HTTPS_PROXY",
            Settings { base: format!("https://localhost:{}/v2", api.port), proxy, ca, ..Settings::default() },
        ),
    ]
}

fn directly(pki: &Pki, api: &AiohttpApi) -> Settings {
    Settings {
        base: format!("https://localhost:{}/v2", api.port),
        authorization: Some("Bearer t0ken".into()),
        ca: Some(pki.ca_file()),
        ..Settings::default()
    }
}

pub fn assert_same(ingress: &str, through: &Value, direct: &Value) {
    for (client, results) in through.as_object().unwrap() {
        let expected = direct[client].as_array().unwrap();
        let results = results.as_array().unwrap();
        assert_eq!(results.len(), expected.len(), "{client} by {ingress}");
        for (result, expected) in results.iter().zip(expected) {
            assert_eq!(plain(result), plain(expected), "{client} by {ingress}");
        }
    }
}

/// The result, with the echoed request's fields in lower case and sorted, because clients spell their
/// credential's field differently.
fn plain(result: &Value) -> Value {
    let mut result = result.clone();
    let Some(mut echoed) = result["text"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return result;
    };
    if let Some(headers) = echoed["headers"].as_array_mut() {
        for header in headers.iter_mut() {
            header[0] = header[0].as_str().unwrap().to_lowercase().into();
        }
        headers.sort_by_key(ToString::to_string);
    }
    for name in ["text", "sha256", "length"] {
        result[name] = Value::Null;
    }
    result["echoed"] = echoed;
    result
}

#[tokio::test]
async fn python_clients_behave_as_without_sidekey() {
    let pki = Pki::new();
    let (api, sidekey) = started(&pki).await;
    let direct = python_clients(&directly(&pki, &api)).await;
    assert_eq!(direct["websockets"], serde_json::json!([["permessage-deflate"], true, true, true, 1000]));
    assert_eq!(direct["requests"][0]["status"], 200);
    assert_eq!(direct["requests"].as_array().unwrap().last().unwrap()["events"].as_array().unwrap().len(), 3);
    for (ingress, settings) in ingresses(&api, &sidekey) {
        assert_same(ingress, &python_clients(&settings).await, &direct);
    }
}

#[tokio::test]
async fn node_clients_behave_as_without_sidekey() {
    let pki = Pki::new();
    let (api, sidekey) = started(&pki).await;
    let direct = node_clients(&directly(&pki, &api)).await;
    assert_eq!(direct["fetch"][0]["status"], 200);
    for (ingress, settings) in ingresses(&api, &sidekey) {
        assert_same(ingress, &node_clients(&settings).await, &direct);
    }
}
