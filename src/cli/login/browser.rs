//! Authorization code with a browser on this machine, which is redirected to a listener on loopback (RFC 8252 §7.3).

use super::authorization;
use super::page::Page;
use super::redirect::CallbackServer;
use super::store::LoginStore;
use crate::config::{AuthorizationCode, OAuth2};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants::AuthorizationError;

/// Waits for the callback that belongs to this login, and rejects all others.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads it")]
pub(super) async fn login(
    config: &OAuth2,
    grant: &AuthorizationCode,
    endpoint: &TokenEndpoint,
    store: &LoginStore,
) -> anyhow::Result<Option<String>> {
    let mut redirect = CallbackServer::bind(grant.redirect_uri.as_ref()).await?;
    let request = authorization::begin(config, grant, endpoint, redirect.uri()).await?;
    println!("Open this address in a browser on this machine:\n\n{}\n", request.url());
    println!("Waiting on {} (Ctrl-C to give up; --no-browser works with any browser) …", redirect.uri());
    // Each message is printed once, so that a flood of callbacks does not fill the terminal.
    let mut printed = Vec::new();
    loop {
        let callback = redirect.callback().await?;
        let outcome = match request.code(callback.query()) {
            Err(error) if !error.ends_login() => {
                callback.show(match error {
                    AuthorizationError::StateMismatch => Page::NotOurs,
                    _ => Page::Malformed,
                });
                if !printed.contains(&error) {
                    eprintln!("{error}; still waiting");
                    printed.push(error);
                }
                continue;
            }
            Err(error) => Err(error.into()),
            Ok(code) => authorization::finish(&request, endpoint, &code, store).await,
        };
        callback.show(if outcome.is_ok() { Page::LoggedIn } else { Page::NotLoggedIn });
        redirect.close().await;
        return outcome;
    }
}
