//! `type: oauth2`: a token endpoint and everything that shapes the token request.

use std::time::Duration;

use super::grant::{self, Client};
use super::item::Item;
use super::nearest::list;
use super::table::Table;
use super::{
    Auth, ClientAuth, Grant, OAuth2, Tls, client_auth, dpop, duration, endpoint, issuer, tls, token_request,
};

const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Form parameters that other keys write.
const RESERVED: [&str; 2] = ["grant_type", "scope"];

pub(super) fn read(table: &mut Table<'_>) -> Option<Auth> {
    let kind = grant::kind(table);
    let client = kind.map_or(Client::Proven, |kind| kind.client);
    let client_id = match client {
        Client::Any if !table.has("client_id") => Some(String::new()),
        _ => table.required("client_id").and_then(|item| item.parse(client_id)),
    };
    let client_auth = client_auth::read(
        table,
        client != Client::Proven,
        kind.map_or(&[], |kind| kind.shares),
        client_id.as_deref(),
    );
    if client_id.as_deref() == Some("") && client_auth.as_ref().is_some_and(|auth| *auth != ClientAuth::None)
    {
        table.item().mistake("`client_id` is required where the client proves who it is");
    }
    let scopes = table.optional("scopes").map_or_else(Vec::new, |item| scopes(&item));
    let endpoint_params = table
        .optional("endpoint_params")
        .map_or_else(Vec::new, |item| params(&item, kind.map_or(&[], |kind| kind.writes)));
    let request = token_request::read(table);
    let dpop = dpop::read(table);
    let default_expires_in = table.optional("default_expires_in").and_then(|item| duration::positive(&item));
    let request_timeout = table.optional("request_timeout").and_then(|item| duration::positive(&item));
    let min_refresh_interval =
        table.optional("min_refresh_interval").and_then(|item| duration::positive(&item));
    let tls = table.optional("tls");
    let plaintext = table.optional("allow_plaintext").and_then(|item| item.boolean()).unwrap_or_default();
    let rules = endpoint::Rules { plaintext, query: true };
    let mut grant = kind.and_then(|kind| (kind.read)(table, &rules));
    if let (Some(Grant::JwtBearer(grant)), Some(client_id)) = (&mut grant, &client_id) {
        grant.settle(table, client_id, &scopes);
    }
    let token_url = issuer::read(table, plaintext);
    let https = token_url
        .as_ref()
        .map(|url| url.as_str().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")));
    let tls = tls.map_or_else(Tls::default, |item| tls::of_token_endpoint(&item, https));
    if let Some(auth) = client_auth.as_ref().filter(|auth| auth.is_by_certificate()) {
        let method = auth.as_str();
        if https == Some(false) {
            table
                .item()
                .mistake(format!("`auth_method: {method}` is TLS, so `token_url` must be `https://`"));
        } else if tls.client.is_none() {
            table.item().mistake(format!(
                "`auth_method: {method}` needs a client certificate: `tls: {{ cert_file: PATH, key_file: PATH }}`"
            ));
        }
    }
    Some(Auth::OAuth2(Box::new(OAuth2 {
        grant: grant?,
        token_url: token_url?,
        client_id: client_id?,
        client_auth: client_auth?,
        scopes,
        endpoint_params,
        request,
        dpop,
        default_expires_in,
        request_timeout,
        min_refresh_interval: min_refresh_interval.unwrap_or(MIN_REFRESH_INTERVAL),
        tls,
    })))
}

fn client_id(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("empty".into());
    }
    if text.chars().any(char::is_control) {
        return Err("a client id has no control characters".into());
    }
    Ok(text.to_owned())
}

/// A list, or one string with spaces between.
fn scopes(item: &Item<'_>) -> Vec<String> {
    let mut scopes = Vec::new();
    if item.is_list() {
        for item in item.list().unwrap_or_default() {
            scopes.extend(item.parse(scope));
        }
    } else if let Some(text) = item.text() {
        for word in text.split_whitespace() {
            match scope(word) {
                Ok(word) => scopes.push(word),
                Err(message) => item.mistake(message),
            }
        }
    }
    scopes
}

/// scope-token, RFC 6749 §3.3.
fn scope(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if text.is_empty() || !text.chars().all(allowed) {
        return Err("a scope is one word of visible ASCII without quotes and backslashes".into());
    }
    Ok(text.to_owned())
}

/// A list gives the parameter more than once, as RFC 8707 has it for `resource`.
pub(super) fn params(item: &Item<'_>, own: &[&str]) -> Vec<(String, String)> {
    let mut params = Vec::new();
    for (name, value) in item.entries().unwrap_or_default() {
        if RESERVED.contains(&name) || client_auth::PARAMETERS.contains(&name) {
            let names = list(RESERVED.into_iter().chain(client_auth::PARAMETERS));
            value.mistake(format!("Sidekey writes {names} itself, from keys of their own"));
        } else if own.contains(&name) {
            value.mistake("with this grant Sidekey writes the parameter itself, from a key of its own");
        } else if name.is_empty() {
            item.mistake("a parameter without a name");
        } else if value.is_empty() {
            // The name is not shown: it may be the tail of a secret that was cut at a comma.
            item.mistake("a parameter without a value; give it one in quotes, or leave it out");
        } else {
            let values = if value.is_list() { value.list().unwrap_or_default() } else { vec![value] };
            params
                .extend(values.iter().filter_map(|value| Some((name.to_owned(), value.text()?.to_owned()))));
        }
    }
    params
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_scope_is_one_word() {
        assert!(scope("https://www.example.com/auth/x.read").is_ok());
        for text in ["", "a b", "a\"", "a\\", "é"] {
            assert!(scope(text).is_err(), "{text}");
        }
    }
}
