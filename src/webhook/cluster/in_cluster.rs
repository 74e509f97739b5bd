//! The API server of the cluster that the pod runs in, by the service account of the pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{ApiError, Objects};
use crate::config::Tls;
use crate::credential::bearer_authorization;
use crate::net::dns::Resolver;
use crate::oauth2::client::http::HttpClient;
use crate::secret::{SecretText, read_file};
use crate::tls::client::TlsClients;
use crate::webhook::own_objects::OwnObjects;

/// Limit on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest file of a service account, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// The files that the kubelet mounts for a service account.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    folder: PathBuf,
}

/// The API server, as a pod reaches it.
pub struct InCluster {
    base: String,
    account: ServiceAccount,
    tls: TlsClients,
    http: HttpClient,
    objects: OwnObjects,
}

/// Why the API server cannot be reached at all.
#[derive(Debug, thiserror::Error)]
pub enum NotInCluster {
    /// The variables that each pod has are not set.
    #[error(
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: outside of a pod, give the certificate in files \
         (--cert-file, --key-file)"
    )]
    NoServer,
    /// The CA of the API server, or the machine's resolver, cannot be used.
    #[error("the API of the cluster cannot be called: {0}")]
    Unusable(String),
}

impl ServiceAccount {
    /// The service account whose files are in this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The namespace of the pod; `None` if the folder has none.
    pub fn namespace(&self) -> Option<String> {
        let content = read_file(&self.folder.join("namespace"), MAX_FILE_BYTES).ok()?;
        Some(std::str::from_utf8(&content).ok()?.trim().to_owned())
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// `Authorization` with the token. It is read for each call, because the kubelet replaces it.
    async fn authorization(&self) -> Result<HeaderValue, String> {
        let path = self.folder.join("token");
        let reading = tokio::task::spawn_blocking(move || authorization(&path));
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

fn authorization(path: &Path) -> Result<HeaderValue, String> {
    let of_file = |why: String| format!("the token in {}: {why}", path.display());
    let content = read_file(path, MAX_FILE_BYTES).map_err(|error| of_file(error.to_string()))?;
    let text = SecretText::of_content(content).map_err(|error| of_file(error.to_string()))?;
    let token = text.into_secret().map_err(|error| of_file(error.to_string()))?;
    bearer_authorization(&token).ok_or_else(|| of_file("not a token".into()))
}

impl InCluster {
    /// A client for the objects of this webhook. `variable` returns a variable of the environment. It
    /// connects to nothing yet.
    pub fn new(
        account: ServiceAccount,
        objects: OwnObjects,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, NotInCluster> {
        let unusable = |error: &dyn std::fmt::Display| NotInCluster::Unusable(error.to_string());
        let [host, port] = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
            .map(|name| variable(name).filter(|value| !value.is_empty()));
        let (Some(host), Some(port)) = (host, port) else { return Err(NotInCluster::NoServer) };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let base = format!("https://{host}:{port}");
        let tls = TlsClients::new();
        let settings = Tls { ca_file: Some(account.ca_file()), ..Tls::default() };
        let client = tls.client(&settings).map_err(|error| unusable(&error))?;
        let resolver = Resolver::from_system().map_err(|error| unusable(&error))?;
        let http = HttpClient::new(client, resolver, None).map_err(|error| unusable(&error))?;
        Ok(Self { base, account, tls, http, objects })
    }

    /// The version of the cluster, as the API server says it: `v1.29.3`.
    pub(in crate::webhook) async fn version(&self) -> Result<String, ApiError> {
        const WHAT: &str = "version";
        let version = object(WHAT, &Method::GET, self.call(WHAT, (Method::GET, "/version"), None).await?)?;
        let text =
            version["gitVersion"].as_str().ok_or_else(|| ApiError::failed(WHAT, "there is no gitVersion"))?;
        Ok(text.to_owned())
    }

    /// Sends one request, and returns the status and the object in the answer.
    async fn call(
        &self,
        what: &str,
        (method, path): (Method, &str),
        body: Option<(&'static str, &Value)>,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), ApiError> {
        // The CA may have been replaced, too.
        self.tls.reload();
        let authorization = self.account.authorization().await.map_err(|why| ApiError::failed(what, why))?;
        let client = self.http.client().map_err(|error| ApiError::failed(what, error.to_string()))?;
        let mut request = client
            .request(method, format!("{}{path}", self.base))
            .timeout(CALL_TIMEOUT)
            .header(AUTHORIZATION, authorization);
        if let Some((media_type, body)) = body {
            request = request.header(CONTENT_TYPE, media_type).body(body.to_string());
        }
        let of_client = |error| ApiError::of_client(what, &self.http.request_error(&error, "the API server"));
        let mut answer = request.send().await.map_err(of_client)?;
        let status = answer.status().as_u16();
        let body = self.http.body(&mut answer, "the API server").await;
        Ok((status, body.map_err(|error| ApiError::of_client(what, &error))?))
    }
}

/// The object in a successful answer to a request with this method.
fn object(what: &str, method: &Method, (status, body): (u16, Zeroizing<Vec<u8>>)) -> Result<Value, ApiError> {
    if !(200..300).contains(&status) {
        return Err(ApiError::of_answer(what, method, status, &body));
    }
    serde_json::from_slice(&body).map_err(|_| ApiError::failed(what, "the API server's answer is not JSON"))
}

#[async_trait]
impl Objects for InCluster {
    async fn secret(&self) -> Result<Option<Value>, ApiError> {
        let (what, path) = (self.objects.secret_text(), self.objects.secret_path());
        let answer = self.call(&what, (Method::GET, &path), None).await?;
        if answer.0 == 404 { Ok(None) } else { object(&what, &Method::GET, answer).map(Some) }
    }

    async fn write_secret(&self, secret: &Value) -> Result<(), ApiError> {
        let what = self.objects.secret_text();
        let is_new = secret["metadata"]["resourceVersion"].is_null();
        let (method, path) = if is_new {
            (Method::POST, self.objects.secrets_path())
        } else {
            (Method::PUT, self.objects.secret_path())
        };
        let answer = self.call(&what, (method.clone(), &path), Some(("application/json", secret))).await?;
        object(&what, &method, answer).map(drop)
    }

    async fn configuration(&self) -> Result<Value, ApiError> {
        let (what, path) = (self.objects.configuration_text(), self.objects.configuration_path());
        object(&what, &Method::GET, self.call(&what, (Method::GET, &path), None).await?)
    }

    async fn patch_configuration(&self, operations: &Value) -> Result<(), ApiError> {
        let (what, path) = (self.objects.configuration_text(), self.objects.configuration_path());
        let body = Some(("application/json-patch+json", operations));
        object(&what, &Method::PATCH, self.call(&what, (Method::PATCH, &path), body).await?).map(drop)
    }
}
