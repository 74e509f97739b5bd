//! The listener on loopback that the browser is redirected to (RFC 8252 §7.3). It serves one path only.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::page::Page;
use crate::net::http_server::{ServerLimits, serve};

/// How long to wait until the last page is sent.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The limits of the listener. A browser opens a few connections, and some that it does not use.
const LIMITS: ServerLimits = ServerLimits {
    server: "login",
    connections: 16,
    head_bytes: 64 * 1024,
    body_bytes: 1024,
    request_time: Duration::from_secs(10),
    idle_time: Duration::from_secs(10),
};

/// The open listener.
pub(super) struct CallbackServer {
    uri: String,
    callbacks: mpsc::Receiver<AuthorizationCallback>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// A request from a browser that was redirected, and waits for its page.
pub(super) struct AuthorizationCallback {
    query: Zeroizing<String>,
    page: oneshot::Sender<Page>,
}

impl AuthorizationCallback {
    /// The query. It may contain an authorization code.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// Responds with the outcome.
    pub(super) fn show(self, page: Page) {
        // Fails if the browser is gone, which does not matter.
        let _ = self.page.send(page);
    }
}

impl CallbackServer {
    /// Listens at the configured `redirect_uri`, or on any free port of 127.0.0.1.
    pub(super) async fn bind(configured: Option<&Url>) -> anyhow::Result<Self> {
        let (address, path) = match configured {
            None => (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "/callback".to_owned()),
            Some(url) => (loopback(url)?, url.path().to_owned()),
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}, where the browser is redirected to"))?;
        let uri = match configured {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{}{path}", listener.local_addr()?),
        };
        let (sender, callbacks) = mpsc::channel(1);
        let (stop, mut stopped) = watch::channel(false);
        // An authorization response is a GET (RFC 6749 §4.1.2); a HEAD, as of a link preview, must not use up
        // its code.
        let router = Router::new().fallback(move |state, method: Method, uri: Uri, query| {
            let is_ours = uri.path() == path;
            async move {
                match method {
                    _ if !is_ours => StatusCode::NOT_FOUND.into_response(),
                    Method::GET => handle_callback(state, query).await,
                    _ => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response(),
                }
            }
        });
        let router = router.with_state(sender);
        let server = tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            serve(listener, router, LIMITS, stop).await;
        });
        Ok(Self { uri, callbacks, stop, server })
    }

    /// The `redirect_uri` that is sent to the provider.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// Waits for the next request of a browser.
    pub(super) async fn callback(&mut self) -> anyhow::Result<AuthorizationCallback> {
        self.callbacks.recv().await.context("the listener on loopback ended")
    }

    /// Closes the listener once the last page is sent.
    pub(super) async fn close(self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(PAGE_TIMEOUT, self.server).await;
    }
}

async fn handle_callback(
    State(callbacks): State<mpsc::Sender<AuthorizationCallback>>,
    RawQuery(query): RawQuery,
) -> Response {
    let (page, shown) = oneshot::channel();
    let query = Zeroizing::new(query.unwrap_or_default());
    if callbacks.send(AuthorizationCallback { query, page }).await.is_err() {
        return StatusCode::GONE.into_response();
    }
    match shown.await {
        Ok(page) => page.into_response(),
        Err(_) => Page::NotLoggedIn.into_response(),
    }
}

/// The address of a redirect URI on this machine.
fn loopback(url: &Url) -> anyhow::Result<SocketAddr> {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_loopback() => ip.into(),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        Some(Host::Domain("localhost")) => Ipv4Addr::LOCALHOST.into(),
        _ => {
            bail!("`redirect_uri` is not an address of this machine; use `sidekey login --no-browser`")
        }
    };
    if url.scheme() != "http" {
        bail!(
            "`redirect_uri` is `https://`, for which there is no certificate here; use `sidekey login --no-browser`"
        );
    }
    Ok(SocketAddr::new(ip, url.port().unwrap_or(80)))
}
