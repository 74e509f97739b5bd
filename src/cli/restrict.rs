//! Restricts the process as the configuration says (`hardening`), before anything else of it is read.

use std::path::{Path, PathBuf};

use crate::config::Restrictions;
use crate::credential::READERS;
use crate::hardening::{InForce, Writable, harden};
use crate::oauth2::refresh_tokens::create_state_dir;

/// Restricts the process, and all that it starts from now on. `None` with `hardening: none`.
///
/// No thread may be left that writes: Landlock restricts the calling thread, and those that it starts.
pub(super) fn restrict(config: &Path) -> Option<InForce> {
    let restrictions = Restrictions::read(config, READERS);
    if !restrictions.hardening.enabled {
        return None;
    }
    if let Some(dir) = &restrictions.state_dir {
        // Only a folder that exists can be made writable. If this fails, opening it will fail as well, and say why.
        let _ = create_state_dir(dir);
    }
    Some(harden(&writable(restrictions)))
}

fn writable(restrictions: Restrictions) -> Writable {
    let Restrictions { hardening, state_dir, sockets, audit, manage } = restrictions;
    let folders = hardening.writable.into_iter().chain(state_dir).chain(manage).collect();
    Writable {
        folders,
        socket_folders: sockets.iter().map(|socket| folder(socket)).collect(),
        log_folders: audit.iter().map(|file| folder(file)).collect(),
    }
}

/// The folder of a file. That of a name without a slash is the working directory.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hardening;

    #[test]
    fn writable_folders_are_those_of_the_configuration() {
        let restrictions = Restrictions {
            hardening: Hardening { enabled: true, writable: vec!["/a".into()] },
            state_dir: Some("/b".into()),
            audit: Some("/var/log/sidekey/audit.log".into()),
            manage: Some("/etc/sidekey/services.d".into()),
            sockets: vec!["/c/d".into(), "e".into()],
        };
        let expected = Writable {
            log_folders: vec!["/var/log/sidekey".into()],
            folders: vec!["/a".into(), "/b".into(), "/etc/sidekey/services.d".into()],
            socket_folders: vec!["/c".into(), ".".into()],
        };
        assert_eq!(writable(restrictions), expected);
    }
}
