//! The program under test, linked statically.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::podman::succeed;

/// The program under test, linked again: static, as the image needs it.
///
/// `--examples` asks for the features of the dev-dependencies, so that every dependency is the one that this
/// test's own build has made; only the last crate is compiled, and `--emit` leaves the tested program as it
/// is.
pub fn static_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_sidekey")).parent().unwrap();
        let profile = folder.file_name().unwrap().to_str().unwrap();
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sidekey-static");
        let mut cargo = Command::new(env!("CARGO"));
        // Cargo describes this package to its tests; ring's build script would see a change and build again.
        for (name, _) in env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
                cargo.env_remove(name);
            }
        }
        succeed(
            cargo
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .args(["rustc", "--locked", "--bin", "sidekey", "--examples"])
                .args(["--profile", if profile == "debug" { "dev" } else { profile }])
                .arg("--target-dir")
                .arg(folder.parent().unwrap())
                .args(["--", "-C", "target-feature=+crt-static", "-C", "strip=symbols"])
                .arg("--emit")
                .arg(format!("link={}", binary.display())),
        );
        binary
    })
}
