//! The parts of an authorization code login that do not depend on where the browser is.

use url::Url;

use super::store::LoginStore;
use crate::config::{AuthorizationCode, OAuth2, TokenUrl};
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

/// The URL that the user is sent to.
pub(super) async fn authorization_url(
    grant: &AuthorizationCode,
    endpoint: &TokenEndpoint,
) -> anyhow::Result<Url> {
    let configured = grant.authorization_url.as_ref();
    Ok(endpoint.login_endpoint(configured, LoginEndpoint::Authorization).await?)
}

/// The issuer identifier, if it is configured: an authorization response that names another one is rejected (RFC 9207).
pub(super) fn issuer(config: &OAuth2) -> Option<&str> {
    match &config.token_url {
        TokenUrl::Issuer(issuer) => Some(issuer.as_str()),
        TokenUrl::Endpoint(_) => None,
    }
}
