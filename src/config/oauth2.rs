//! `type: oauth2`: a token endpoint and everything that shapes the token request.

use super::grant::{self, Client};
use super::item::Item;
use super::nearest::list;
use super::table::Table;
use super::{Auth, BasicEncoding, ClientAuth, OAuth2, Tls, duration, endpoint, secret, tls};

/// Form parameters that other keys write.
const RESERVED: [&str; 4] = ["grant_type", "client_id", "client_secret", "scope"];

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Basic,
    Post,
    None,
}

pub(super) fn read(table: &mut Table<'_>) -> Option<Auth> {
    let kind = grant::kind(table);
    let client = kind.map_or(Client::Proven, |kind| kind.client);
    let token_url = table.required("token_url");
    let client_id = match client {
        Client::Any if !table.has("client_id") => Some(String::new()),
        _ => table.required("client_id").and_then(|item| item.parse(client_id)),
    };
    let client_auth = client_auth(table, client, client_id.as_deref());
    let grant = kind.and_then(|kind| (kind.read)(table));
    let scopes = table.optional("scopes").map_or_else(Vec::new, |item| scopes(&item));
    let endpoint_params = table
        .optional("endpoint_params")
        .map_or_else(Vec::new, |item| params(&item, kind.map_or(&[], |kind| kind.writes)));
    let default_expires_in = table.optional("default_expires_in").and_then(|item| duration::positive(&item));
    let request_timeout = table.optional("request_timeout").and_then(|item| duration::positive(&item));
    let tls = table.optional("tls");
    let plaintext = table.optional("allow_plaintext").and_then(|item| item.boolean()).unwrap_or_default();
    let rules = endpoint::Rules { plaintext, query: true };
    let token_url = token_url.and_then(|item| item.parse(|text| endpoint::parse(text, &rules)));
    let https = token_url.as_ref().map(|url| url.scheme() == "https");
    let tls = tls.map_or_else(Tls::default, |item| tls::read(&item, https));
    Some(Auth::OAuth2(Box::new(OAuth2 {
        grant: grant?,
        token_url: token_url?,
        client_id: client_id?,
        client_auth: client_auth?,
        scopes,
        endpoint_params,
        default_expires_in,
        request_timeout,
        tls,
    })))
}

fn client_auth(table: &mut Table<'_>, client: Client, client_id: Option<&str>) -> Option<ClientAuth> {
    let planned = ["client_secret_jwt", "private_key_jwt", "tls_client_auth"];
    let allowed = [
        ("client_secret_basic", Method::Basic),
        ("client_secret_post", Method::Post),
        ("none", Method::None),
    ];
    let method = match table.optional("auth_method") {
        None if client != Client::Proven && !table.has("client_secret") => Some(Method::None),
        None => Some(Method::Basic),
        Some(item) => {
            let method = supported(&item, &planned, &allowed);
            if method == Some(Method::None) && client == Client::Proven {
                item.mistake(
                    "with this grant a client must prove who it is (RFC 6749 §4.4); \
                              any other method will do",
                );
                return None;
            }
            method
        }
    };
    if method == Some(Method::None) {
        if let Some(item) = table.optional("client_secret") {
            item.mistake("`auth_method: none` sends no secret; leave this key out");
        }
        return Some(ClientAuth::None);
    }
    let secret = table.required("client_secret").and_then(|item| secret::read(&item));
    let encoding = table.optional("basic_auth_encoding");
    if let (Some(Method::Post), Some(item)) = (method, &encoding) {
        item.mistake("only `auth_method: client_secret_basic` has an encoding; leave this key out");
        return None;
    }
    let encoding = match encoding {
        None => BasicEncoding::default(),
        Some(item) => item.choice(&[("rfc6749", BasicEncoding::Rfc6749), ("raw", BasicEncoding::Raw)])?,
    };
    if encoding == BasicEncoding::Raw && client_id.is_some_and(|id| id.contains(':')) {
        table.item().mistake("a `client_id` with a colon cannot be sent with `basic_auth_encoding: raw`");
    }
    match method? {
        Method::Basic => Some(ClientAuth::SecretBasic { secret: secret?, encoding }),
        Method::Post => Some(ClientAuth::SecretPost { secret: secret? }),
        Method::None => Some(ClientAuth::None),
    }
}

/// One of a few words; others of the design are known, and refused as such.
pub(super) fn supported<T: Copy>(
    item: &Item<'_>,
    planned: &[&str],
    allowed: &[(&'static str, T)],
) -> Option<T> {
    if planned.contains(&item.text()?) {
        let words = list(allowed.iter().map(|(word, _)| *word));
        item.mistake(format!("not supported by this version; allowed: {words}"));
        return None;
    }
    item.choice(allowed)
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
fn params(item: &Item<'_>, own: &[&str]) -> Vec<(String, String)> {
    let mut params = Vec::new();
    for (name, value) in item.entries().unwrap_or_default() {
        if RESERVED.contains(&name) {
            value.mistake(format!("Sidekey writes {} itself, from keys of their own", list(RESERVED)));
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
