//! What the process can write to, by Landlock. A set of rules can be made smaller later, and never larger. Reading and executing
//! are not restricted, because a reload may name files that the configuration did not have at the start.

use std::env;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use nix::errno::Errno;

use super::outcome::{IN_FORCE, Outcome};

/// The newest version of Landlock whose rights are used. An older kernel restricts fewer of them.
const VERSION: ABI = ABI::V5;

/// Devices that programs open for writing, and the folder of shared memory.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/pts", "/dev/shm"];

/// The folders that can be written to, besides the folder of temporary files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Writable {
    /// Folders with everything below them.
    pub folders: Vec<PathBuf>,
    /// Folders in which Unix sockets can be created and removed, and nothing else.
    pub socket_folders: Vec<PathBuf>,
    /// Folders in which files can be created and written to, and nothing can be removed.
    pub log_folders: Vec<PathBuf>,
}

/// Restricts writing for this thread and for all that it starts from now on.
pub(super) fn restrict(writable: &Writable) -> Outcome {
    let status = match rules(writable).and_then(RulesetCreated::restrict_self) {
        Ok(status) => status,
        Err(error) if is_nested_too_deep(&error) => return Ok("in force, those of earlier processes"),
        Err(error) => return Err(format!("Landlock: {error}")),
    };
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("the kernel has no Landlock, or a sandbox hides it".into()),
        RulesetStatus::PartiallyEnforced => Ok("in force, as far as the Landlock of this kernel goes"),
        RulesetStatus::FullyEnforced => Ok(IN_FORCE),
    }
}

/// Whether the kernel's limit is reached: sixteen sets of rules, one inside the other. Each process that USR2 starts adds one.
fn is_nested_too_deep(error: &(dyn Error + 'static)) -> bool {
    let cause = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    cause == Some(Errno::E2BIG as i32) || error.source().is_some_and(is_nested_too_deep)
}

fn rules(writable: &Writable) -> Result<RulesetCreated, RulesetError> {
    let all = AccessFs::from_write(VERSION);
    // A rename within a folder removes one name and creates another.
    let sockets = AccessFs::MakeSock | AccessFs::RemoveFile;
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?.create()?;
    let devices = DEVICES.iter().map(|path| (PathBuf::from(path), all));
    let folders = writable.folders.iter().cloned().chain([env::temp_dir()]).map(|path| (path, all));
    let socket_folders = writable.socket_folders.iter().map(|path| (path.clone(), sockets));
    let logs = AccessFs::MakeReg | AccessFs::WriteFile;
    let log_folders = writable.log_folders.iter().map(|path| (path.clone(), logs));
    devices.chain(folders).chain(socket_folders).chain(log_folders).try_fold(
        rules,
        |rules, (path, access)| {
            // A path that does not exist cannot be written to either. What needs it reports that.
            let Ok(opened) = PathFd::new(&path) else { return Ok(rules) };
            rules.add_rule(PathBeneath::new(opened, applicable(&path, access)))
        },
    )
}

/// The part of the rights that exists for the path: some are for folders only.
fn applicable(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(VERSION) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_to_and_not_replaced() {
        let all = AccessFs::from_write(VERSION);
        let device = applicable(Path::new("/dev/null"), all);
        assert!(device.contains(AccessFs::WriteFile) && !device.contains(AccessFs::RemoveFile));
        assert_eq!(applicable(Path::new("/"), all), all);
    }

    #[test]
    fn reading_and_executing_are_never_restricted() {
        let all = AccessFs::from_write(VERSION);
        assert!(!all.intersects(AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute));
        // Newer versions of Landlock count a connection to a Unix socket as writing.
        assert!(!all.contains(AccessFs::ResolveUnix));
    }
}
