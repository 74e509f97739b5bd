//! The parts of an authorization code login that do not depend on where the browser is.

use super::store::LoginStore;
use crate::config::{AuthorizationCode, OAuth2};
use crate::oauth2::LoginEndpoint;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants::AuthorizationRequest;
use crate::secret::Secret;

/// Exchanges the code for tokens, and stores the refresh token.
pub(super) async fn finish(
    request: &AuthorizationRequest,
    endpoint: &TokenEndpoint,
    code: &Secret,
    store: &LoginStore,
) -> anyhow::Result<Option<String>> {
    let issued = request.exchange(endpoint, code).await?;
    store.save(issued).await
}

/// A new login, with the URL that the user is sent to.
pub(super) async fn begin(
    config: &OAuth2,
    grant: &AuthorizationCode,
    endpoint: &TokenEndpoint,
    redirect_uri: &str,
) -> anyhow::Result<AuthorizationRequest> {
    let configured = grant.authorization_url.as_ref();
    let url = endpoint.login_endpoint(configured, LoginEndpoint::Authorization).await?;
    let issuer = endpoint.expected_issuer().await?;
    Ok(AuthorizationRequest::new(config, grant, url, redirect_uri, issuer))
}
