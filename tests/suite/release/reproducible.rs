//! The same commit gives the same bytes.
//!
//! This compares what is packaged, for one program. Two builds of the program itself take too long for every run of the tests:
//! `make release-check` compares them.

use std::fs;
use std::process::Command;

use super::artefacts::{Artefacts, root};
use crate::harness::tool;
use crate::suite::deploy::image::succeed;

#[test]
fn artefacts_are_the_same_from_another_folder() {
    let first = Artefacts::of_this_checkout();
    let folder = tempfile::TempDir::with_prefix_in("another-", env!("CARGO_TARGET_TMPDIR")).unwrap();
    let checkout = folder.path().join("a/longer/path");
    fs::create_dir_all(&checkout).unwrap();
    // Times, and what else a copy does not keep, are others.
    let copy = "git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory \"$1\"";
    succeed(Command::new("sh").args(["-c", copy, "sh"]).arg(&checkout).current_dir(root()));
    let git =
        succeed(Command::new(tool("git")).args(["rev-parse", "--absolute-git-dir"]).current_dir(root())).0;
    fs::write(checkout.join(".git"), format!("gitdir: {git}")).unwrap();

    let second = Artefacts { folder: folder.path().join("out") };
    second.make(&checkout, &[("TZ", "Asia/Tokyo"), ("LANG", "de_DE.UTF-8")]);
    assert_eq!(first.names(), second.names());
    let content = |artefacts: &Artefacts, name: &str| fs::read(artefacts.folder.join(name)).unwrap();
    let mut different = first.names();
    different.retain(|name| content(&first, name) != content(&second, name));
    assert_eq!(different, Vec::<String>::new());
}
