//! The smallest reverse proxy on tokio and hyper that does the job: what of Sidekey's cost is not the engine's.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::authorization;
use crate::pki::client_config;

struct Proxy {
    client: Client<HttpsConnector<HttpConnector>, Incoming>,
    scheme: Scheme,
    authority: Authority,
    authorization: HeaderValue,
}

/// Serves forever, HTTP/1.1 and HTTP/2; `ca_file` is for an upstream over TLS, `h2` for one that speaks HTTP/2.
pub fn run(listen: SocketAddr, upstream: &str, ca_file: Option<&str>, h2: bool) -> anyhow::Result<()> {
    let tls = client_config(ca_file)?;
    let connector =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let client = Client::builder(TokioExecutor::new()).http2_only(h2).build(connector.wrap_connector(tcp));
    let scheme = if ca_file.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    let authorization = HeaderValue::from_static(authorization());
    let proxy = Arc::new(Proxy { client, scheme, authority: upstream.parse()?, authorization });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let proxy = proxy.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| forward(proxy.clone(), request));
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    })
}

async fn forward(
    proxy: Arc<Proxy>,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    (uri.scheme, uri.authority) = (Some(proxy.scheme.clone()), Some(proxy.authority.clone()));
    *request.uri_mut() = Uri::from_parts(uri).expect("a path, and what was parsed before");
    *request.version_mut() = http::Version::HTTP_11;
    request.headers_mut().remove(HOST);
    request.headers_mut().insert(AUTHORIZATION, proxy.authorization.clone());
    proxy.client.request(request).await
}
