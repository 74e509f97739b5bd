//! `jwt_bearer` (RFC 7523 §2.1): a JWT signed with a key is the grant. Used by Google service accounts,
//! Salesforce, DocuSign and Box.

use async_trait::async_trait;
use serde_json::json;

use crate::config::JwtBearer;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::jws;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{ClockReading, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The JWT bearer grant at one endpoint.
pub struct JwtBearerGrant {
    endpoint: TokenEndpoint,
    grant: Box<JwtBearer>,
}

impl JwtBearerGrant {
    /// Prepares the grant.
    pub fn new(endpoint: TokenEndpoint, grant: Box<JwtBearer>) -> Self {
        Self { endpoint, grant }
    }
}

#[async_trait]
impl TokenSource for JwtBearerGrant {
    async fn request_token(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let local =
            |error: crate::secret::SigningError| SourceError::new(SourceErrorKind::Local, error.to_string());
        let JwtBearer { key, key_id, headers, claims, lifetime } = &*self.grant;
        let issued = jws::issued_at(ClockReading::now(), *lifetime);
        let mut header = vec![("typ", json!("JWT"))];
        header.retain(|(name, _)| !headers.contains_key(*name));
        header.extend(key_id.iter().map(|id| ("kid", json!(id))));
        header.extend(headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut claims = claims.clone();
        claims.entry("aud").or_insert_with(|| json!(self.endpoint.config().token_url.as_str()));
        claims.entry("jti").or_insert(json!(jws::random_id().map_err(local)?));
        claims.insert("iat".into(), json!(issued));
        claims.insert("exp".into(), json!(issued + lifetime.as_secs()));
        let assertion = jws::sign(key, &header, &claims).map_err(local)?;
        present(&self.endpoint, assertion.as_str()).await
    }
}

/// Presents an assertion.
pub(super) async fn present(endpoint: &TokenEndpoint, assertion: &str) -> Result<TokenResponse, SourceError> {
    let mut fields =
        vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
    let scope = endpoint.scope();
    if !scope.is_empty() {
        fields.push(("scope", scope));
    }
    let response = endpoint.request(&fields).await?;
    Ok(TokenResponse { refresh_token: None, ..response })
}
