//! One accepted connection, to its end.

use std::sync::Arc;

use super::{http1, tls};
use crate::proxy::connection_limit;
use crate::proxy::error::ErrorReason;
use crate::proxy::peer::{Peer, PeerSocket};
use crate::proxy::session::{ConnectionContext, DataPlane, ListenerContext};
use crate::proxy::wire::relay::Io;
use crate::tls::server::ListenerTls;

/// Serves one connection of a listener, to its end.
pub(crate) async fn serve<S: Io>(
    plane: &Arc<DataPlane>,
    listener: &Arc<ListenerContext>,
    mut stream: S,
    socket: Option<Arc<dyn PeerSocket>>,
) {
    let peer = Peer::new(socket);
    let context = ConnectionContext { peer, ..ConnectionContext::new(plane.clone(), listener.clone()) };
    let Some(_permit) = plane.connection_limit.try_acquire(context.snapshot().max_connections) else {
        // One that wants TLS would have to be shaken hands with first, which is more than it is worth.
        if listener.tls.is_none() {
            connection_limit::refuse(&mut stream).await;
        }
        plane.metrics.error("", ErrorReason::Overloaded.as_str());
        return;
    };
    let _open = listener.connections.track();
    match &listener.tls {
        None => http1::serve(context, &mut stream).await,
        // In a box: without TLS there should be no room for it.
        Some(tls) => Box::pin(serve_tls(context, stream, tls)).await,
    }
}

/// Shakes hands, and serves the connection if that went well.
async fn serve_tls(context: ConnectionContext, stream: impl Io, tls: &ListenerTls) {
    if let Some(mut stream) = tls::accept(tls.current(), stream).await {
        http1::serve(context, &mut stream).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;
    use tokio::time::timeout;

    use super::*;
    use crate::metrics::Metrics;
    use crate::runtime::route::Routes;
    use crate::runtime::snapshot::{Runtime, Snapshot};

    fn plane() -> DataPlane {
        let snapshot = Snapshot {
            routes: Routes::new(&[]),
            services: Box::new([]),
            access_log: false,
            intercept: None,
            passthrough: None,
            max_connections: 1,
            tracer: None,
        };
        let metrics = Arc::new(Metrics::new(&Registry::new()).unwrap());
        DataPlane::new(Arc::new(Runtime::new(snapshot)), metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn idle_waits_for_the_last_request() {
        let plane = Arc::new(plane());
        plane.drain();
        timeout(Duration::from_secs(1), plane.idle()).await.expect("nothing is in flight");
        let (one, two) = (plane.track(), plane.track());
        let waiting = tokio::spawn({
            let plane = plane.clone();
            async move { plane.idle().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(one);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop(two);
        timeout(Duration::from_secs(1), waiting).await.expect("woken by the last one").unwrap();
    }
}
