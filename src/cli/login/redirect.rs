//! The listener on loopback that the browser comes back to (RFC 8252 §7.3). Nothing but its one path is there.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::page::Page;

/// How long the last page may take on its way.
const LAST_PAGE: Duration = Duration::from_secs(2);

/// The listener, open.
pub(super) struct Redirect {
    uri: String,
    arrivals: mpsc::Receiver<Arrival>,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
}

/// A browser that came, and waits for its page.
pub(super) struct Arrival {
    query: Zeroizing<String>,
    page: oneshot::Sender<Page>,
}

impl Arrival {
    /// What it brought. It may hold a code.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// Shows it how it ended.
    pub(super) fn show(self, page: Page) {
        // Whoever does not wait for it does not see it.
        let _ = self.page.send(page);
    }
}

impl Redirect {
    /// Listens where the configured `redirect_uri` says, or on any free port of 127.0.0.1.
    pub(super) async fn bind(configured: Option<&Url>) -> anyhow::Result<Self> {
        let (address, path) = match configured {
            None => (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "/callback".to_owned()),
            Some(url) => (loopback(url)?, url.path().to_owned()),
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}, where the browser is to come back to"))?;
        let uri = match configured {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{}{path}", listener.local_addr()?),
        };
        let (sender, arrivals) = mpsc::channel(1);
        let (stop, mut stopped) = watch::channel(false);
        let router =
            Router::new().fallback(move |state, uri: axum::http::Uri, query| {
                let is_ours = uri.path() == path;
                async move {
                    if is_ours { arrive(state, query).await } else { StatusCode::NOT_FOUND.into_response() }
                }
            });
        let router = router.with_state(sender);
        let server = tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            axum::serve(listener, router).with_graceful_shutdown(stop).await
        });
        Ok(Self { uri, arrivals, stop, server })
    }

    /// What the provider is told as `redirect_uri`.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// Waits for a browser.
    pub(super) async fn arrival(&mut self) -> anyhow::Result<Arrival> {
        self.arrivals.recv().await.context("the listener on loopback ended")
    }

    /// Closes the listener once the last page is out.
    pub(super) async fn close(self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(LAST_PAGE, self.server).await;
    }
}

async fn arrive(State(arrivals): State<mpsc::Sender<Arrival>>, RawQuery(query): RawQuery) -> Response {
    let (page, shown) = oneshot::channel();
    let query = Zeroizing::new(query.unwrap_or_default());
    if arrivals.send(Arrival { query, page }).await.is_err() {
        return StatusCode::GONE.into_response();
    }
    match shown.await {
        Ok(page) => page.into_response(),
        Err(_) => Page::Failed.into_response(),
    }
}

/// Where a redirect URI on this machine leads.
fn loopback(url: &Url) -> anyhow::Result<SocketAddr> {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_loopback() => ip.into(),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        Some(Host::Domain("localhost")) => Ipv4Addr::LOCALHOST.into(),
        _ => {
            bail!("`redirect_uri` does not lead to this machine; `sidekey login --no-browser` works with any")
        }
    };
    if url.scheme() != "http" {
        bail!(
            "`redirect_uri` is `https://`, for which there is no certificate here; `sidekey login --no-browser` works with any"
        );
    }
    Ok(SocketAddr::new(ip, url.port().unwrap_or(80)))
}
