//! The smallest pingora proxy that does the job: the engine that Sidekey's listeners stand on, used in the usual way.

use std::net::SocketAddr;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HOST};
use pingora::apps::HttpServerOptions;
use pingora::http::RequestHeader;
use pingora::modules::http::HttpModules;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

use crate::authorization;

struct Bare {
    peer: HttpPeer,
    host: HeaderValue,
    authorization: HeaderValue,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    /// None: the default is a module for compression.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        (): &mut (),
    ) -> pingora::Result<()> {
        request.insert_header(AUTHORIZATION, self.authorization.clone())?;
        request.insert_header(HOST, self.host.clone())
    }
}

/// Serves forever, HTTP/1.1 and HTTP/2; `ca_file` is for an upstream over TLS, `h2` for one that speaks HTTP/2.
pub fn run(listen: SocketAddr, upstream: &str, ca_file: Option<&str>, h2: bool) -> anyhow::Result<()> {
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 1024,
        ca_file: ca_file.map(str::to_owned),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut peer = HttpPeer::new(upstream, ca_file.is_some(), "localhost".into());
    if h2 {
        peer.options.set_http_version(2, 2);
    }
    let proxy = Bare {
        peer,
        host: HeaderValue::from_str(upstream)?,
        authorization: HeaderValue::from_static(authorization()),
    };
    let mut service = http_proxy_service(&server.configuration, proxy);
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    service.app_logic_mut().expect("not started").server_options = Some(options);
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever()
}
