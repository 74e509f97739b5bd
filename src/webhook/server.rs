//! The running webhook: two servers and the task that keeps the certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::certificate::files::CertificateFiles;
use super::certificate::keeper::Keeper;
use super::certificate::serving::Serving;
use super::cluster::InCluster;
use super::health::{self, Health};
use super::listener::TlsListener;
use super::own_objects::OwnObjects;
use super::readiness::Readiness;
use super::router::{Reviewer, router};
use super::shape::{Sidecar, depends_on_version, follow_version};
use crate::config::{ListenAddress, ListenerTlsConfig};
use crate::inject::Settings;
use crate::metrics::WebhookMetrics;
use crate::net::http_server::{ServerLimits, serve};
use crate::net::listener::{BindError, BoundListener, TokioListener};

/// The limits of reviews. One carries a pod, of which etcd stores 1.5 MiB at most. Each API server keeps
/// connections open.
const REVIEW_LIMITS: ServerLimits = ServerLimits {
    server: "webhook",
    connections: 128,
    head_bytes: 16 * 1024,
    body_bytes: 2 * 1024 * 1024,
    request_time: Duration::from_secs(10),
    idle_time: Duration::from_secs(120),
};
/// The limits of health and metrics.
const ADMIN_LIMITS: ServerLimits = ServerLimits {
    server: "admin",
    connections: 32,
    head_bytes: 16 * 1024,
    body_bytes: 1024,
    request_time: Duration::from_secs(10),
    idle_time: Duration::from_secs(90),
};
/// Limit on the last responses, after the listener is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of the webhook.
pub struct Options {
    /// Where reviews are answered.
    pub listen: SocketAddr,
    /// Where health and metrics are shown.
    pub admin: SocketAddr,
    /// The certificate.
    pub certificate: Certificate,
    /// How the sidecars are to be.
    pub sidecar: Settings,
    /// The namespace of the webhook, if it is known: its pods never get a sidecar.
    pub namespace: Option<String>,
    /// Time for which reviews are still answered after readiness has ended.
    pub shutdown_delay: Duration,
}

/// Where the certificate is from.
pub enum Certificate {
    /// From files that something else replaces, and has the API server trust.
    Files(ListenerTlsConfig),
    /// Made and rotated by the replicas.
    Own {
        /// The API of the cluster.
        api: Box<InCluster>,
        /// The objects of the webhook.
        objects: OwnObjects,
        /// Time for which a certificate is valid.
        lifetime: Duration,
    },
}

/// Why the webhook does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is in use, or not this machine's.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refuses a socket.
    #[error("a socket cannot be used: {0}")]
    Socket(#[from] std::io::Error),
    /// The series cannot be registered.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The certificate in files cannot be used.
    #[error("{0}")]
    Certificate(String),
}

/// The running webhook.
pub struct Webhook {
    readiness: Arc<Readiness>,
    shutdown_delay: Duration,
    stop: watch::Sender<bool>,
    reviews: JoinHandle<()>,
}

impl Webhook {
    /// Binds the addresses, and starts to answer.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let registry = Registry::new();
        let metrics = WebhookMetrics::new(&registry)?;
        let (readiness, serving) = (Arc::new(Readiness::default()), Serving::new(metrics.clone()));
        let (reviews, listen) = bind(options.listen)?;
        let (admin, admin_address) = bind(options.admin)?;
        let sidecar = Arc::new(Sidecar::from_pointee(options.sidecar));
        match options.certificate {
            Certificate::Files(files) => {
                readiness.shape_is_known();
                let files = CertificateFiles::new(files, &serving).map_err(StartError::Certificate)?;
                readiness.certificate_is_trusted();
                tokio::spawn(files.follow(serving.clone(), metrics.clone()));
            }
            Certificate::Own { api, objects, lifetime } => {
                let api = Arc::new(*api);
                if depends_on_version(&sidecar.load()) {
                    tokio::spawn(follow_version(api.clone(), sidecar.clone(), readiness.clone()));
                } else {
                    readiness.shape_is_known();
                }
                let keeper = Keeper {
                    objects: api,
                    names: objects,
                    lifetime,
                    clock: SystemTime::now,
                    serving: serving.clone(),
                    readiness: readiness.clone(),
                    metrics: metrics.clone(),
                    presented: None,
                    trusted_since: None,
                };
                tokio::spawn(keeper.run());
            }
        }
        let health = Health { registry, serving: serving.clone(), readiness: readiness.clone() };
        tokio::spawn(serve(admin, health::router(health), ADMIN_LIMITS, std::future::pending()));
        let reviewer =
            Reviewer { sidecar, own_namespace: options.namespace, metrics, readiness: readiness.clone() };
        let (stop, mut stopped) = watch::channel(false);
        let stopped = async move {
            // An error means that the sender is gone, and the process ends.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let listener = TlsListener { socket: reviews, serving };
        let reviews = tokio::spawn(serve(listener, router(Arc::new(reviewer)), REVIEW_LIMITS, stopped));
        for (kind, address) in [("webhook", listen), ("admin", admin_address)] {
            tracing::info!(listener.kind = kind, listener.address = %address, "listening");
        }
        Ok(Self { readiness, shutdown_delay: options.shutdown_delay, stop, reviews })
    }

    /// Ends readiness, answers reviews until the API server has learned of it, and ends when the last
    /// response is written.
    pub async fn stop(self) {
        self.readiness.stop();
        tokio::time::sleep(self.shutdown_delay).await;
        self.stop.send_replace(true);
        let _ = timeout(DRAIN_TIMEOUT, self.reviews).await;
    }
}

fn bind(address: SocketAddr) -> Result<(tokio::net::TcpListener, ListenAddress), StartError> {
    let bound = BoundListener::bind(&ListenAddress::Tcp(address))?;
    let address = bound.address.clone();
    match bound.into_tokio()? {
        TokioListener::Tcp(socket) => Ok((socket, address)),
        TokioListener::Unix(_) => unreachable!("a TCP address was bound"),
    }
}
