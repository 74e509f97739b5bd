//! Authorization code with a browser on this machine: it comes back to a listener on loopback (RFC 8252 §7.3).

use super::Keep;
use super::page::Page;
use super::redirect::Redirect;
use crate::config::{AuthorizationCode, OAuth2};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants::{AuthorizationError, AuthorizationRequest};

/// Waits for the answer that belongs to this login; all others are turned away.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads it")]
pub(super) async fn login(
    config: &OAuth2,
    grant: &AuthorizationCode,
    endpoint: &TokenEndpoint,
    keep: &Keep,
) -> anyhow::Result<Option<String>> {
    let mut redirect = Redirect::bind(grant.redirect_uri.as_ref()).await?;
    let url = super::authorization_url(grant, endpoint).await?;
    let request = AuthorizationRequest::new(config, grant, url, redirect.uri(), super::issuer(config));
    println!("Open this address in a browser on this machine:\n\n{}\n", request.url());
    println!("Waiting on {} (Ctrl-C gives up; with --no-browser any browser will do) …", redirect.uri());
    loop {
        let arrival = redirect.arrival().await?;
        let outcome = match request.code(arrival.query()) {
            Err(AuthorizationError::NotOurs) => {
                eprintln!("{}; still waiting", AuthorizationError::NotOurs);
                arrival.show(Page::NotOurs);
                continue;
            }
            Err(error) => Err(error.into()),
            Ok(code) => super::finish(&request, endpoint, &code, keep).await,
        };
        arrival.show(if outcome.is_ok() { Page::Done } else { Page::Failed });
        redirect.close().await;
        return outcome;
    }
}
