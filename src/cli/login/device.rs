//! Device code: the user enters a short code on any other machine (RFC 8628).

use super::store::LoginStore;
use crate::config::DeviceCode;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants::DeviceAuthorization;

#[expect(clippy::print_stdout, reason = "a person reads it")]
pub(super) async fn login(
    grant: &DeviceCode,
    endpoint: &TokenEndpoint,
    store: &LoginStore,
) -> anyhow::Result<Option<String>> {
    let device = DeviceAuthorization::begin(endpoint, grant.device_authorization_url.as_ref()).await?;
    println!("On any machine open {}\nand enter the code {}", device.verification_uri, device.user_code);
    if let Some(page) = &device.verification_uri_complete {
        println!("or open {page}");
    }
    println!("\nThe code is valid for {} minutes. Waiting …", device.expires_in.as_secs().div_ceil(60));
    let issued = device.poll_token(endpoint).await?;
    store.save(issued).await
}
