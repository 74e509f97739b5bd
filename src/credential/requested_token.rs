//! Tokens that are requested with settings of [`OAuth2`], whatever the kind of the credential.

use super::{BuildError, Refresh, SourceContext, StoreHandle, store_or_new};
use crate::config::OAuth2;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants;

/// The store and the refresher of a token that is no caller's. `kind` is the kind of the credential.
pub(super) fn requested_token(
    kind: &'static str,
    settings: &OAuth2,
    context: &SourceContext<'_>,
    reuse: Option<StoreHandle>,
) -> Result<Refresh, BuildError> {
    let server = settings.token_url.host().unwrap_or_default();
    let source = grants::source(
        kind,
        token_endpoint(settings, context)?.with_turns(context.turns.at(&server)),
        context.services,
        context.refresh_tokens,
        context.users,
        context.traces,
        context.fleet,
    );
    Ok(Refresh::new(source, store_or_new(reuse, settings.request.min_interval)))
}

/// The token endpoint of these settings.
pub(super) fn token_endpoint(
    settings: &OAuth2,
    context: &SourceContext<'_>,
) -> Result<TokenEndpoint, BuildError> {
    let tls = context.tls.client(&settings.tls)?;
    Ok(TokenEndpoint::new(settings, tls, context.resolver.clone())?)
}
