#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;

use super::*;

fn of_file(path: &Path, content: Content) -> Vec<String> {
    super::of_file(path, content, &KnownFolders::default())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn warnings(mode: u32, content: Content) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "x").unwrap();
    set_mode(&path, mode);
    of_file(&path, content)
        .into_iter()
        .map(|text| text.replace(dir.path().to_str().unwrap(), "DIR"))
        .collect()
}

#[test]
fn secret_that_others_can_read_or_change_is_named() {
    for mode in [0o600, 0o400, 0o700] {
        assert_eq!(warnings(mode, Content::Secret), [""; 0], "{mode:o}");
    }
    for (mode, who, what) in [
        (0o644, "every user of this machine", "read"),
        (0o604, "every user of this machine", "read"),
        (0o666, "every user of this machine", "read and change"),
        (0o602, "every user of this machine", "change"),
        (0o640, "every user in the file's group", "read"),
        (0o660, "every user in the file's group", "read and change"),
    ] {
        let expected =
            format!("{who} can {what} the file DIR/file (its mode is {mode:04o}); run `chmod 600 DIR/file`");
        assert_eq!(warnings(mode, Content::Secret), [expected]);
    }
}

#[test]
fn trusted_file_that_others_can_change_is_named() {
    for mode in [0o644, 0o600, 0o755, 0o444] {
        assert_eq!(warnings(mode, Content::Trusted), [""; 0], "{mode:o}");
    }
    for (mode, who) in [(0o664, "every user in the file's group"), (0o646, "every user of this machine")] {
        let expected =
            format!("{who} can change the file DIR/file (its mode is {mode:04o}); run `chmod go-w DIR/file`");
        assert_eq!(warnings(mode, Content::Trusted), [expected]);
    }
}

#[test]
fn folder_that_others_can_write_to_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let nested = dir.path().join("a b/c");
    fs::create_dir_all(&nested).unwrap();
    let path = nested.join("file");
    fs::write(&path, "x").unwrap();
    set_mode(&path, 0o600);
    assert_eq!(of_file(&path, Content::Secret), [""; 0]);
    set_mode(&nested, 0o1777);
    assert_eq!(of_file(&path, Content::Secret), [""; 0], "sticky");
    for folder in [&*nested, nested.parent().unwrap()] {
        set_mode(folder, 0o777);
        let found = of_file(&path, Content::Trusted);
        let command = format!("run `chmod go-w '{}'`", folder.display());
        assert!(found.len() == 1 && found[0].ends_with(&command), "{found:?}");
        set_mode(folder, 0o755);
    }
}

#[test]
fn kubernetes_volume_causes_no_warning() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("..2026")).unwrap();
    fs::write(dir.path().join("..2026/token"), "x").unwrap();
    symlink("..2026", dir.path().join("..data")).unwrap();
    symlink("..data/token", dir.path().join("token")).unwrap();
    set_mode(dir.path(), 0o1777);
    for mode in [0o644, 0o440, 0o444, 0o600] {
        set_mode(&dir.path().join("..2026/token"), mode);
        assert_eq!(of_file(&dir.path().join("token"), Content::Secret), [""; 0], "{mode:o}");
    }
    set_mode(&dir.path().join("..2026/token"), 0o666);
    assert_eq!(of_file(&dir.path().join("token"), Content::Secret).len(), 1);
}

#[test]
fn socket_that_others_can_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    assert_eq!(of_socket("the socket", &path), None);
    let _socket = UnixListener::bind(&path).unwrap();
    for (mode, is_open) in [(0o777, true), (0o666, true), (0o602, true), (0o755, false), (0o660, false)] {
        set_mode(&path, mode);
        let found = of_socket("the socket", &path);
        assert_eq!(found.is_some(), is_open, "{mode:o}");
        assert!(found.is_none_or(|text| text.contains(&format!("`chmod 660 {}`", path.display()))));
    }
}

#[test]
fn folder_of_another_group_or_owner_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let nested = dir.path().join("a/b");
    fs::create_dir_all(&nested).unwrap();
    if chown(&nested, Some(12_345), Some(12_345)).is_err() {
        assert!(!geteuid().is_root(), "root may give files away; the rule has tests that need no root");
        return;
    }
    chown(&nested, Some(0), Some(0)).unwrap();
    let path = nested.join("file");
    fs::write(&path, "x").unwrap();
    set_mode(&path, 0o600);
    for folder in [&*nested, nested.parent().unwrap()] {
        chown(folder, None, Some(12_345)).unwrap();
        for (mode, is_open) in [(0o770, true), (0o775, true), (0o750, false), (0o1770, false)] {
            set_mode(folder, mode);
            let found = of_file(&path, Content::Trusted);
            assert_eq!(found.len(), usize::from(is_open), "{mode:o} {found:?}");
            assert!(
                found.iter().all(|text| text.ends_with(&format!("run `chmod go-w {}`", folder.display())))
            );
        }
        chown(folder, Some(12_345), None).unwrap();
        let found = of_file(&path, Content::Trusted);
        assert!(found.len() == 1 && found[0].contains("belongs to user 12345"), "{found:?}");
        chown(folder, Some(0), Some(0)).unwrap();
    }
    // As `/usr/local` on Debian.
    chown(nested.parent().unwrap(), None, Some(50)).unwrap();
    set_mode(nested.parent().unwrap(), 0o2775);
    assert_eq!(of_file(&path, Content::Trusted), [""; 0]);
}

#[test]
fn files_of_another_user_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "x").unwrap();
    if chown(&path, Some(12_345), None).is_err() {
        assert!(!geteuid().is_root(), "root may give files away; the rule has tests that need no root");
        return;
    }
    for (mode, content) in [(0o600, Content::Secret), (0o644, Content::Secret), (0o644, Content::Trusted)] {
        set_mode(&path, mode);
        let found = of_file(&path, content);
        let command = format!("run `chown 0 {}`, or run this as user 12345", path.display());
        assert!(found.len() == 1 && found[0].ends_with(&command), "{found:?}");
    }
}

#[test]
fn known_folder_says_the_same_of_each_file_in_it() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (open, known) = (dir.path().join("open"), KnownFolders::default());
    fs::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    fs::write(elsewhere.path().join("target"), "x").unwrap();
    set_mode(&elsewhere.path().join("target"), 0o600);
    symlink(elsewhere.path().join("target"), open.join("link")).unwrap();
    for (name, mode) in [("a", 0o600), ("b", 0o644)] {
        fs::write(open.join(name), "x").unwrap();
        set_mode(&open.join(name), mode);
    }
    for name in ["link", "a", "b", "link", "missing"] {
        let path = open.join(name);
        assert_eq!(super::of_file(&path, Content::Secret, &known), of_file(&path, Content::Secret), "{name}");
    }
    assert_eq!(super::of_file(&open.join("b"), Content::Secret, &known).len(), 2, "file and folder");
}
