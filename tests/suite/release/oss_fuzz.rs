//! The build script of OSS-Fuzz: what it lays out. That the targets build is what `make fuzz` shows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::artefacts::root;
use crate::harness::tool;
use crate::suite::deploy::image::succeed;

/// Stands in for `cargo fuzz build`, which takes minutes: makes a file for each target, where cargo-fuzz puts it.
const CARGO: &str = r#"#!/bin/sh
echo "$@" >>"$CARGO_TARGET_DIR/calls"
built=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release
mkdir -p "$built"
for source in fuzz/fuzz_targets/*.rs; do echo program >"$built/$(basename "$source" .rs)"; done
"#;

#[test]
fn oss_fuzz_build_has_programs_seeds_and_dictionaries() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    for name in ["bin", "out", "built"] {
        fs::create_dir(folder(name)).unwrap();
    }
    fs::write(folder("bin/cargo"), CARGO).unwrap();
    fs::set_permissions(folder("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder("bin").display(), std::env::var("PATH").unwrap());
    let mut build = Command::new(root().join("fuzz/oss-fuzz/build.sh"));
    build.env("PATH", path).env("OUT", folder("out")).env("CARGO_TARGET_DIR", folder("built"));
    succeed(build.env("SANITIZER", "none"));

    let calls = fs::read_to_string(folder("built/calls")).unwrap();
    assert_eq!(calls, "fuzz build -O --debug-assertions --sanitizer none\n");
    let mut targets = 0;
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(folder("out").join(&name).is_file(), "{name}");
        let archive = folder("out").join(format!("{name}_seed_corpus.zip"));
        let seeds = succeed(Command::new(tool("unzip")).arg("-Z1").arg(archive)).0.lines().count();
        assert_eq!(seeds, fs::read_dir(root().join("fuzz/seeds").join(&name)).unwrap().count(), "{name}");
        let dictionary = format!("{name}.dict");
        let has = |folder: &std::path::Path| folder.join(&dictionary).is_file();
        assert_eq!(has(&folder("out")), has(&root().join("fuzz/dictionaries")), "{dictionary}");
        targets += 1;
    }
    assert!(targets >= 10, "{targets}");
}
