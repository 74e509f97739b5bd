//! The Debian package: what lintian says, and that it comes and goes without a trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::artefacts::Artefacts;
use crate::harness::{Machine, tool};
use crate::suite::deploy::image::succeed;

/// Where the packages are in the system.
pub const FIRST: &str = "/opt/first.deb";
pub const SECOND: &str = "/opt/second.deb";

/// A system with both packages at hand: the one of this check-out, and the same with a higher version.
pub fn machine() -> Machine {
    let (artefacts, machine) = (Artefacts::of_this_checkout(), Machine::new());
    let first = artefacts.file(".deb");
    machine.write(FIRST, fs::read(&first).unwrap());
    let second = with_version(&first, "9.0.0-1", &machine.path("/opt"));
    fs::rename(second, machine.path(SECOND)).unwrap();
    machine
}

/// The package with another version and another default configuration.
fn with_version(package: &Path, version: &str, folder: &Path) -> PathBuf {
    let (tree, result) = (folder.join("tree"), folder.join("result.deb"));
    succeed(Command::new(tool("dpkg-deb")).arg("--raw-extract").arg(package).arg(&tree));
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let version = |line: &str| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}\n"),
        None => format!("{line}\n"),
    };
    fs::write(&control, text.lines().map(version).collect::<String>()).unwrap();
    let services = tree.join("etc/sidekey/services.yaml");
    fs::write(&services, fs::read_to_string(&services).unwrap() + "# The default of another version.\n")
        .unwrap();
    let mut build = Command::new(tool("dpkg-deb"));
    succeed(build.args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&tree).arg(&result));
    fs::remove_dir_all(tree).unwrap();
    result
}

#[test]
fn deb_is_clean_for_lintian() {
    let package = Artefacts::of_this_checkout().file(".deb");
    // Root, as in a container of CI, is only a warning of the tool's.
    let output =
        Command::new(tool("lintian")).args(["--fail-on", "error,warning"]).arg(package).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn deb_is_installed_upgraded_removed_and_purged() {
    let machine = machine();
    let exists = |file: &str| machine.path(file).symlink_metadata().is_ok();

    machine.run(&["dpkg", "--install", FIRST]);
    let version = machine.run(&["sidekey", "--version"]);
    assert_eq!(version.trim_end(), concat!("sidekey ", env!("CARGO_PKG_VERSION")));
    assert!(exists("/usr/share/doc/sidekey/README.md") && exists("/usr/share/doc/sidekey/docs/INSTALL.md"));
    assert!(machine.run(&["id", "sidekey"]).contains("(sidekey)"));
    assert_eq!(machine.run(&["stat", "--format=%a %U", "/etc/sidekey/secrets"]), "700 sidekey\n");
    let status = machine.output(&["systemctl", "is-enabled", "sidekey.service", "sidekey.socket"]);
    assert_eq!(String::from_utf8_lossy(&status.stdout), "disabled\ndisabled\n");

    // The first service, as the documents say it.
    let add = "echo t0ken | runuser -u sidekey -- sidekey add --provider github --secret token=stdin --yes --no-test";
    machine.run(&["sh", "-c", add]);
    assert!(
        machine.run(&["runuser", "-u", "sidekey", "--", "sidekey", "check"]).contains("1 service, no error")
    );
    assert_eq!(
        machine.run(&["stat", "--format=%a %U", "/etc/sidekey/secrets/github-token"]),
        "600 sidekey\n"
    );
    machine.run(&["rm", "/etc/sidekey/secrets/github-token"]);

    // What an administrator wrote stays, at an upgrade to a version with another default, and at a removal.
    machine.write("/etc/sidekey/services.yaml", "services: {}\n");
    machine.write("/var/lib/private/sidekey/crm.token", "sealed");
    machine.run(&["dpkg", "--install", "--force-confold", SECOND]);
    assert_eq!(machine.run(&["dpkg-query", "--show", "--showformat=${Version}", "sidekey"]), "9.0.0-1");
    machine.run(&["dpkg", "--remove", "sidekey"]);
    assert!(!exists("/usr/bin/sidekey") && !exists("/usr/lib/systemd/system/sidekey.service"));
    assert_eq!(fs::read_to_string(machine.path("/etc/sidekey/services.yaml")).unwrap(), "services: {}\n");
    assert!(exists("/var/lib/private/sidekey/crm.token"));

    machine.run(&["dpkg", "--purge", "sidekey"]);
    for gone in [
        "/etc/sidekey",
        "/var/lib/private/sidekey",
        "/usr/share/doc/sidekey",
        "/usr/lib/systemd/system/sidekey.socket",
    ] {
        assert!(!exists(gone), "{gone} is left");
    }
    let known = machine.output(&["dpkg-query", "--status", "sidekey"]);
    assert!(!known.status.success(), "{}", String::from_utf8_lossy(&known.stdout));
}
