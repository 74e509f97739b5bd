//! What the keeper of the certificate needs of the API.

use async_trait::async_trait;
use serde_json::Value;

use super::ApiError;

/// The two objects, as JSON, so that what is not known of them is kept.
#[async_trait]
pub(crate) trait Objects: Send + Sync {
    /// The Secret with the certificate; `None` if there is none.
    async fn secret(&self) -> Result<Option<Value>, ApiError>;

    /// Replaces the Secret if it is still as it was read (`metadata.resourceVersion`), or creates it if it
    /// has no version.
    async fn write_secret(&self, secret: &Value) -> Result<(), ApiError>;

    /// The `MutatingWebhookConfiguration`.
    async fn configuration(&self) -> Result<Value, ApiError>;

    /// Changes the configuration by a JSON patch (RFC 6902).
    async fn patch_configuration(&self, operations: &Value) -> Result<(), ApiError>;
}
