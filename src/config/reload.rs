//! `reload`: how often the files are looked at.

use std::time::Duration;

use super::Reload;
use super::reader::duration;
use super::reader::value::Item;

pub(super) fn read(item: &Item<'_>) -> Reload {
    let default = Reload::default();
    let Some(mut table) = item.table() else { return default };
    let interval = table.optional("interval").and_then(|item| duration::any(&item));
    table.finish();
    Reload {
        interval: interval
            .map_or(default.interval, |interval| Some(interval).filter(|limit| *limit > Duration::ZERO)),
    }
}
