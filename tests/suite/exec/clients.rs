//! Real clients, not changed in any way and without a credential, reach an HTTPS API through interception.

use super::setup::{HOST, Stage, printed};
use crate::harness::{MockResponse, installed, tool};

fn url(path: &str) -> String {
    format!("https://{HOST}/v1/{path}")
}

#[tokio::test]
async fn curl_calls_the_api_with_the_credential() {
    let stage = Stage::new().await;
    let curl = tool("curl");
    let output = stage.run(&[], &[curl.to_str().unwrap(), "-sS", &url("contacts")]).await;
    assert_eq!(printed(&output), "Ada");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    stage.assert_credentials(1);
    assert_eq!(stage.upstream.only_request().target, "/v1/contacts");
}

#[tokio::test]
async fn python_calls_the_api_with_the_credential() {
    let stage = Stage::new().await;
    let code = format!(
        "import urllib.request, requests, httpx
print(urllib.request.urlopen('{0}').read().decode())
print(requests.get('{0}').text)
print(httpx.get('{0}').text)",
        url("contacts")
    );
    let python = installed(".venv-clients/bin/python");
    let output = stage.run(&[], &[python.to_str().unwrap(), "-c", &code]).await;
    assert_eq!(printed(&output), "Ada\nAda\nAda\n");
    stage.assert_credentials(3);
}

#[tokio::test]
async fn node_calls_the_api_with_the_credential() {
    let stage = Stage::new().await;
    std::os::unix::fs::symlink(installed("node_modules"), stage.dir().join("node_modules")).unwrap();
    let file = stage.dir().join("call.mjs");
    // What NODE_USE_ENV_PROXY does in Node 24.
    let code = format!(
        "import {{ EnvHttpProxyAgent, setGlobalDispatcher }} from 'undici';
if (process.env.NODE_USE_ENV_PROXY === '1') setGlobalDispatcher(new EnvHttpProxyAgent());
console.log(await (await fetch('{}')).text());",
        url("contacts")
    );
    std::fs::write(&file, code).unwrap();
    let output = stage.run(&[], &[tool("node").to_str().unwrap(), file.to_str().unwrap()]).await;
    assert_eq!(printed(&output), "Ada\n");
    stage.assert_credentials(1);
}

#[tokio::test]
async fn java_calls_the_api_with_the_credential() {
    let stage = Stage::new().await;
    let file = stage.dir().join("Call.java");
    let code = format!(
        "import java.net.URI;
import java.net.http.*;
class Call {{
    public static void main(String[] arguments) throws Exception {{
        var request = HttpRequest.newBuilder(URI.create(\"{0}\")).build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
        System.out.println(new String(URI.create(\"{0}\").toURL().openStream().readAllBytes()));
        var store = java.security.KeyStore.getInstance(\"PKCS12\");
        try (var in = new java.io.FileInputStream(System.getProperty(\"javax.net.ssl.trustStore\"))) {{
            store.load(in, null);
        }}
        System.out.println(store.size() >= Integer.parseInt(arguments[0]));
    }}
}}",
        url("contacts")
    );
    std::fs::write(&file, code).unwrap();
    // The machine's CAs are in the trust store as well.
    let machine = rustls_native_certs_count();
    let java = tool("java");
    let command = [java.to_str().unwrap(), file.to_str().unwrap(), &machine.to_string()];
    assert_eq!(printed(&stage.run(&[], &command).await), "Ada\nAda\ntrue\n");
    stage.assert_credentials(2);
}

/// The number of the machine's CAs, of which none may be missing.
fn rustls_native_certs_count() -> usize {
    let bundle = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    bundle.matches("-----BEGIN CERTIFICATE-----").count() / 2
}

#[tokio::test]
async fn git_reads_a_repository_with_the_credential() {
    let stage = Stage::new().await;
    let refs = "0123456789012345678901234567890123456789\trefs/heads/main\n";
    stage.upstream.always(MockResponse::ok(refs).header("content-type", "text/plain"));
    let git = tool("git");
    let repository = url("team/app.git");
    let output = stage.run(&[], &[git.to_str().unwrap(), "ls-remote", &repository]).await;
    assert_eq!(printed(&output), refs);
    assert!(stage.upstream.request_count() > 0);
    stage.assert_credentials(stage.upstream.request_count());
}

#[tokio::test]
async fn base_url_leads_to_the_service() {
    let stage = Stage::new().await;
    let shell = "curl -sS --noproxy '*' $SIDEKEY_URL/api/contacts";
    assert_eq!(printed(&stage.run(&[], &["sh", "-c", shell]).await), "Ada");
    stage.assert_credentials(1);
}
