//! A service in the editor of a person.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::process::Command;

use anyhow::{Context, bail};

use crate::config::edit::ServicesText;
use crate::config::read_services_file;
use crate::manage::ServicesFile;
use crate::secret::write_new_file;

/// The text of the services file after a person has changed a service in `$VISUAL` or `$EDITOR` (`vi` without both).
pub(super) fn edited(file: &ServicesFile, name: &str) -> anyhow::Result<String> {
    let place = || file.path.display().to_string();
    let services = ServicesText::parse(file.text()).with_context(place)?;
    let lines = services.lines(name).with_context(place)?;
    // A folder of its own: an editor writes more files beside this one.
    let folder = std::env::temp_dir().join(format!("sidekey-{:016x}", fastrand::u64(..)));
    fs::DirBuilder::new().mode(0o700).create(&folder).context("cannot create a folder for the editor")?;
    let result = edit_in(&folder.join(format!("{name}.yaml")), lines);
    let _ = fs::remove_dir_all(&folder);
    services.replace_lines(name, &result?).with_context(place)
}

fn edit_in(path: &std::path::Path, lines: &str) -> anyhow::Result<String> {
    write_new_file(path, 0o600, lines.as_bytes())?;
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".into());
    // As git does it: `EDITOR` may have arguments.
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$@\""), "editor"]).arg(path).status();
    let status = status.with_context(|| format!("cannot start the editor `{editor}`"))?;
    if !status.success() {
        bail!("the editor `{editor}` ended with {status}");
    }
    Ok(read_services_file(path)?.to_string())
}
