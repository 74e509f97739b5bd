//! Authorization code without a browser on this machine: the user pastes the address that a browser elsewhere ended at.

use std::io::{BufRead, Read};

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use super::authorization;
use super::store::LoginStore;
use crate::config::{AuthorizationCode, OAuth2};
use crate::oauth2::client::endpoint::TokenEndpoint;

/// The redirect URI if none is configured. Nothing listens there; the address bar of the browser shows what is needed.
const FALLBACK_REDIRECT_URI: &str = "http://127.0.0.1/callback";
/// Maximum length of a pasted line in bytes.
const MAX_LINE_LENGTH: u64 = 64 * 1024;

#[expect(clippy::print_stdout, reason = "a person reads it")]
pub(super) async fn login(
    config: &OAuth2,
    grant: &AuthorizationCode,
    endpoint: &TokenEndpoint,
    store: &LoginStore,
) -> anyhow::Result<Option<String>> {
    let redirect_uri = grant.redirect_uri.as_ref().map_or(FALLBACK_REDIRECT_URI, url::Url::as_str);
    let request = authorization::begin(config, grant, endpoint, redirect_uri).await?;
    println!("Open this address in any browser:\n\n{}\n", request.url());
    println!(
        "In the end the browser goes to an address that begins with {redirect_uri}, which it may be unable to show.\n\
         Paste that whole address here:"
    );
    let line = line().await?;
    let code = request.code(query(&line)?)?;
    authorization::finish(&request, endpoint, &code, store).await
}

async fn line() -> anyhow::Result<Zeroizing<String>> {
    let read = || {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().take(MAX_LINE_LENGTH).read_line(&mut line).map(|_| line)
    };
    tokio::task::spawn_blocking(read).await?.context("cannot read the pasted address")
}

/// The query of the address. A bare code is not enough: without its `state` it cannot be matched to this login.
fn query(line: &str) -> anyhow::Result<&str> {
    let line = line.trim();
    let line = line.split('#').next().unwrap_or_default();
    match line.split_once('?') {
        Some((_, query)) => Ok(query),
        None if line.contains("state=") => Ok(line),
        None if line.is_empty() => bail!("nothing was pasted"),
        None => bail!("that is not the whole address: it has `?code=…&state=…` in it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_address_or_query_is_accepted() {
        for line in [
            "http://127.0.0.1/callback?code=a&state=b\n",
            "  https://app.example.com/cb?code=a&state=b#frag \r\n",
            "code=a&state=b",
        ] {
            assert_eq!(query(line).unwrap(), "code=a&state=b", "{line}");
        }
        for line in ["", "\n", "just-a-code\n", "http://127.0.0.1/callback"] {
            assert!(query(line).is_err(), "{line}");
        }
    }
}
