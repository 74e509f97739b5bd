//! HTTP clients of Java and Go by each kind of ingress: the same calls give the same responses as without
//! Sidekey, and the upstream receives the same requests.

use super::clients::assert_same;
use super::setup::{started_with, tls_url};
use crate::harness::{AiohttpApi, GoClient, Pki, Settings, Sidekey, java_calls};

// Not `localhost`, for which Go ignores the proxy in its environment.
const HOST: &str = "crm.example.com";

async fn started(pki: &Pki) -> (AiohttpApi, Sidekey) {
    let api = AiohttpApi::start(pki).await;
    let upstream = format!("https://{HOST}:{}/v2", api.port);
    let sidekey = started_with(pki, HOST, &upstream, "resolve: 127.0.0.1").await;
    (api, sidekey)
}

/// Every kind of ingress: its name, its settings, and the version of HTTP that is negotiated.
fn ingresses(pki: &Pki, api: &AiohttpApi, sidekey: &Sidekey) -> Vec<(&'static str, Settings, u32)> {
    let proxy = Some(sidekey.url(""));
    let to = |base: String| Settings { base, ..Settings::default() };
    let ca = sidekey.dir().join("ca.crt").to_str().map(str::to_owned);
    vec![
        ("path prefix", to(sidekey.url("/api")), 1),
        ("Host", Settings { host: Some("api.internal".into()), ..to(sidekey.url("")) }, 1),
        ("own port", to(sidekey.service_url("api", "")), 1),
        ("TLS", Settings { ca: Some(pki.ca_file()), ..to(format!("{}/api", tls_url(sidekey))) }, 2),
        ("HTTP_PROXY", Settings { proxy: proxy.clone(), ..to(format!("http://{HOST}:{}/v2", api.port)) }, 1),
        ("HTTPS_PROXY", Settings { proxy, ca, ..to(format!("https://{HOST}:{}/v2", api.port)) }, 2),
    ]
}

fn directly(pki: &Pki, api: &AiohttpApi) -> Settings {
    Settings {
        base: format!("https://{HOST}:{}/v2", api.port),
        authorization: Some("Bearer t0ken".into()),
        ca: Some(pki.ca_file()),
        ..Settings::default()
    }
}

#[tokio::test]
async fn java_http_client_behaves_as_without_sidekey() {
    let pki = Pki::new();
    let (api, sidekey) = started(&pki).await;
    let (direct, ingresses) = (directly(&pki, &api), ingresses(&pki, &api, &sidekey));
    let all: Vec<_> =
        [&direct].into_iter().chain(ingresses.iter().map(|(_, settings, _)| settings)).collect();
    let calls = java_calls(&all).await;
    assert_eq!(calls.len(), all.len());
    let direct = &calls[0].0;
    let results = direct["java"].as_array().unwrap();
    assert_eq!((&results[0]["status"], results.len()), (&200.into(), 16));
    assert_eq!(results[14]["events"].as_array().unwrap().len(), 3);
    assert_eq!(results[15]["websocket"], true);
    for ((ingress, _, version), (through, spoken)) in ingresses.iter().zip(&calls[1..]) {
        assert_same(ingress, through, direct);
        assert_eq!(spoken, if *version == 2 { "HTTP_2" } else { "HTTP_1_1" }, "{ingress}");
    }
}

#[tokio::test]
async fn go_net_http_behaves_as_without_sidekey() {
    let pki = Pki::new();
    let (api, sidekey) = started(&pki).await;
    let client = GoClient::build().await;
    let (direct, _) = client.calls(&directly(&pki, &api)).await;
    let results = direct["go"].as_array().unwrap();
    assert_eq!((&results[0]["status"], results.len()), (&200.into(), 14));
    assert_eq!(results[13]["events"].as_array().unwrap().len(), 3);
    let mut ingresses = ingresses(&pki, &api, &sidekey);
    let socket = sidekey.dir().join("shared.sock").to_str().map(str::to_owned);
    let by_socket = Settings { base: "http://localhost/api".into(), socket, ..Settings::default() };
    ingresses.push(("Unix socket", by_socket, 1));
    for (ingress, settings, version) in ingresses {
        let (through, spoken) = client.calls(&settings).await;
        assert_same(ingress, &through, &direct);
        assert_eq!(spoken, if version == 2 { "HTTP/2.0" } else { "HTTP/1.1" }, "{ingress}");
    }
}
