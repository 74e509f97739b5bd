//! `unix` of a caller: the credentials of the peer of a Unix socket.

use std::path::Path;

use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::secret::read_file;

/// The format of `unix`.
pub(super) const UNIX: Format = Format::Keys(&[KEYS]);

const KEYS: Keys = &[
    Key::optional("uid", ID, "Effective user of the process that connected."),
    Key::optional("user", Format::Text, "The same, by its name in /etc/passwd."),
    Key::optional("gid", ID, "Effective group of that process."),
    Key::optional("group", Format::Text, "The same, by its name in /etc/group."),
    Key::optional(
        "cgroup",
        Format::Text,
        "Control group of that process, or one above it: `/system.slice/app.service`.",
    ),
];

const ID: Format = Format::Number(0, MAX_ID);

/// The largest number of a user or a group: the one above it means none.
const MAX_ID: u64 = 0xffff_fffe;

/// What the kernel shows for users and groups that this user namespace does not have.
const OVERFLOW_ID: u32 = 65_534;

/// Largest size of the files that have the names, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// `unix` of a caller. Every part that is there must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixIdentity {
    /// The effective user.
    pub uid: Option<u32>,
    /// The effective group.
    pub gid: Option<u32>,
    /// The control group, or one above it.
    pub cgroup: Option<String>,
}

/// Reads `unix`.
pub(super) fn read(value: &Value<'_>) -> Option<UnixIdentity> {
    let mut mapping = value.mapping()?;
    let uid = mapping.optional("uid");
    let user = mapping.optional("user");
    let gid = mapping.optional("gid");
    let group = mapping.optional("group");
    let cgroup_value = mapping.optional("cgroup");
    let cgroup = cgroup_value.as_ref().map(|value| value.parse(cgroup));
    mapping.reject_unknown_keys();
    if uid.is_none() && user.is_none() && gid.is_none() && group.is_none() && cgroup_value.is_none() {
        value.error("`unix` has `uid`, `user`, `gid`, `group` or `cgroup`");
        return None;
    }
    let uid = id(uid.as_ref(), user.as_ref(), "/etc/passwd")?;
    let gid = id(gid.as_ref(), group.as_ref(), "/etc/group")?;
    Some(UnixIdentity {
        uid,
        gid,
        cgroup: match cgroup {
            None => None,
            Some(cgroup) => Some(cgroup?),
        },
    })
}

/// The number of a user or a group that is given as a number or by its name. `Some(None)` if it is not given.
#[expect(clippy::option_option, reason = "`None` says that an error was reported, as in every reader")]
fn id(number: Option<&Value<'_>>, name: Option<&Value<'_>>, file: &str) -> Option<Option<u32>> {
    let (value, id) = match (number, name) {
        (None, None) => return Some(None),
        (Some(_), Some(name)) => {
            name.error("the number and the name are both given; remove one of them");
            return None;
        }
        (Some(number), None) => (number, u32::try_from(number.number()?).ok()?),
        (None, Some(name)) => (name, name.parse(|text| by_name(text, Path::new(file)))?),
    };
    if id == OVERFLOW_ID {
        value.error(
            "the kernel shows 65534 for every user and group that this user namespace does not have, so that it identifies no caller",
        );
        return None;
    }
    Some(Some(id))
}

/// The third column of the row of that name.
fn by_name(name: &str, file: &Path) -> Result<u32, String> {
    let missing = || format!("there is no such name in {}; give the number", file.display());
    let content = read_file(file, MAX_BYTES).map_err(|_| missing())?;
    let content = String::from_utf8_lossy(&content);
    let row = content.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|row| row[0] == name);
    let id = row.filter(|_| !name.is_empty()).and_then(|row| row.get(2)?.parse().ok());
    id.ok_or_else(missing)
}

fn cgroup(text: &str) -> Result<String, String> {
    let is_clean = !text.split('/').skip(1).any(|part| matches!(part, "" | "." | ".."));
    if text.starts_with('/') && is_clean && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a control group is written as in /proc/PID/cgroup, such as /system.slice/app.service".into())
    }
}
