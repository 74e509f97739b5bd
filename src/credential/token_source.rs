//! Sources of tokens that are requested in a form of their own: with metrics and traces, for the refresher.

use std::sync::Arc;

use super::SourceContext;
use crate::config::auth::placement::Placement;
use crate::fleet::Shared;
use crate::oauth2::source::access_token_source::AccessTokenSource;
use crate::oauth2::{AccessToken, RequestKind, TokenSource, Unpersisted, WithMetrics, WithTracing};
use crate::refresh::{Source, SourceServer};

/// The source of bearer tokens. `server` has what is learnt of the server that is asked. With `shared`, the tokens are those of a fleet.
pub(super) fn token_source(
    source: impl TokenSource + 'static,
    kind: RequestKind,
    server: Arc<SourceServer>,
    context: &SourceContext<'_>,
    shared: Option<Arc<Shared>>,
) -> Arc<dyn Source<AccessToken>> {
    let source = WithTracing::new(source, kind, context.services.join(", "), context.traces.clone());
    let source = WithMetrics::new(source, context.users.clone());
    let bearer = Placement::bearer();
    match shared {
        None => Arc::new(AccessTokenSource::new(Unpersisted(source), None, bearer, server)),
        Some(shared) => {
            Arc::new(AccessTokenSource::new(context.shared(source, shared), None, bearer, server))
        }
    }
}
