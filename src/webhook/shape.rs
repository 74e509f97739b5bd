//! The shape of sidecars: native, or a container beside the app's for a cluster that is too old. The version
//! of the cluster decides.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::cluster::{ApiError, InCluster};
use super::readiness::Readiness;
use crate::inject::{KubernetesVersion, NativeSidecar, Settings};

/// How often the version is read: a cluster may be upgraded.
const INTERVAL: Duration = Duration::from_secs(600);
/// Time until another attempt after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// How the sidecars are to be, as far as is known.
pub(super) type Sidecar = ArcSwap<Settings>;

/// Whether the version of the cluster makes a difference.
pub(super) fn depends_on_version(settings: &Settings) -> bool {
    settings.native_sidecar == NativeSidecar::Auto && settings.kubernetes.is_none()
}

/// Keeps the version up to date, for as long as the process runs. The webhook is not ready before it is
/// known.
pub(super) async fn follow_version(api: Arc<InCluster>, sidecar: Arc<Sidecar>, readiness: Arc<Readiness>) {
    loop {
        let wait = match version(&api).await {
            Ok(version) => {
                set(&sidecar, version);
                readiness.shape_is_known();
                INTERVAL
            }
            Err(error) => {
                tracing::warn!(error = %error, "the version of the cluster is not known");
                RETRY_INTERVAL
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn version(api: &InCluster) -> Result<KubernetesVersion, ApiError> {
    let text = api.version().await?;
    text.parse().map_err(|message| ApiError::Failed { what: "version".into(), message })
}

fn set(sidecar: &Sidecar, version: KubernetesVersion) {
    let current = sidecar.load();
    if current.kubernetes == Some(version) {
        return;
    }
    let settings = Settings { kubernetes: Some(version), ..(**current).clone() };
    tracing::info!(
        k8s.version = format!("{}.{}", version.major, version.minor),
        is_native = settings.is_native(),
        "the version of the cluster decides the shape of sidecars"
    );
    sidecar.store(Arc::new(settings));
}
