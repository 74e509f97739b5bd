//! `admin`: an address, or a mapping that also says who may do what there.

use std::net::SocketAddr;

use super::address;
use super::address::Claims;
use crate::config::reader::value::Item;
use crate::config::service::host;
use crate::config::{Admin, Listen, secret};

/// A shorter token could be guessed by whoever reaches the address.
const SHORTEST_TOKEN: usize = 16;

const WRITTEN: &str = "expected an address such as 127.0.0.1:9090, or a mapping with `listen` and `token`";

pub(crate) fn read(item: Option<Item<'_>>, claims: &mut Claims) -> Admin {
    let default = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 9090)));
    let Some(item) = item else {
        claims.claim_default("admin", &default);
        return Admin::at(default);
    };
    if item.is_list() {
        item.mistake(WRITTEN);
        return Admin::at(default);
    }
    if !item.is_map() {
        return Admin::at(address(Some(item), claims, default));
    }
    // An unknown key may be a piece of the token: `{ token: a,b }`.
    let Some(mut table) = item.private().table() else { return Admin::at(default) };
    let listen = address(table.optional("listen"), claims, default);
    let token_item = table.optional("token");
    let token = token_item.as_ref().and_then(secret::read);
    if let (Some(item), Some(token)) = (&token_item, &token)
        && (token.is_shorter_than(SHORTEST_TOKEN) || token.first_not(|c| c.is_ascii_graphic()).is_some())
    {
        item.mistake(format!(
            "an admin token is at least {SHORTEST_TOKEN} characters, visible ASCII without spaces; \
             such as what `openssl rand -hex 32` prints"
        ));
    }
    let mut switch = |key| {
        let item = table.optional(key)?;
        let on = item.boolean()?;
        if on && token_item.is_none() {
            item.mistake("there is no `token` beside it that could be required");
        }
        Some(on)
    };
    let require_token_to_read = switch("require_token_to_read").unwrap_or_default();
    let require_token_for_metrics = switch("require_token_for_metrics").unwrap_or_default();
    let hosts = table.optional("hosts").map_or_else(Vec::new, |item| hosts(&item));
    table.finish();
    Admin { listen, token, require_token_to_read, require_token_for_metrics, hosts }
}

fn address(item: Option<Item<'_>>, claims: &mut Claims, default: Listen) -> Listen {
    let Some(item) = item else {
        claims.claim_default("admin", &default);
        return default;
    };
    let Some(listen) = address::read(&item) else { return default };
    claims.claim(&item, &listen);
    listen
}

fn hosts(item: &Item<'_>) -> Vec<String> {
    let items = item.list().unwrap_or_default();
    let name = |text: &str| host::parse(text).map(|host| host.to_string());
    items.iter().filter_map(|item| item.parse(name)).collect()
}
