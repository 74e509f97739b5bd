//! The package for rpm: its files, and that it comes and goes.

use std::fs;
use std::process::Command;

use super::artefacts::{Artefacts, root};
use crate::harness::{Machine, tool};
use crate::suite::deploy::image::succeed;

/// Where the packages are in the system.
const FIRST: &str = "/opt/first.rpm";
const SECOND: &str = "/opt/second.rpm";
/// A time after every commit, which makes a package of a higher version. In seconds since 1970: the year 2100.
const LATER: &str = "4102444800";

/// A system with both packages at hand. It is one of Debian with rpm: the database of rpm is empty, so that `shadow-utils`, which
/// Debian has under other names, is not in it (`--nodeps`).
fn machine() -> Machine {
    let machine = Machine::new();
    machine.write(FIRST, fs::read(Artefacts::of_this_checkout().file(".rpm")).unwrap());
    let folder = tempfile::TempDir::with_prefix_in("later-", env!("CARGO_TARGET_TMPDIR")).unwrap();
    let later = Artefacts { folder: folder.path().to_owned() };
    later.make_with(root(), &["--only", "rpm"], &[("SOURCE_DATE_EPOCH", LATER)]);
    machine.write(SECOND, fs::read(later.file(".rpm")).unwrap());
    machine
}

#[test]
fn rpm_is_installed_upgraded_and_erased() {
    let machine = machine();
    let exists = |file: &str| machine.path(file).symlink_metadata().is_ok();
    let rpm = |arguments: &[&str]| machine.run(&[&["rpm", "--force-debian"], arguments].concat());

    rpm(&["--install", "--nodeps", FIRST]);
    let first = rpm(&["--query", "sidekey"]);
    // Every file as it was packaged: size, digest, mode, owner. The configuration belongs to the service by then.
    let changed = machine.output(&["rpm", "--force-debian", "--verify", "--nodeps", "sidekey"]);
    assert_eq!(String::from_utf8_lossy(&changed.stdout), ".....UG..  c /etc/sidekey/services.yaml\n");
    let version = machine.run(&["sidekey", "--version"]);
    assert_eq!(version.trim_end(), concat!("sidekey ", env!("CARGO_PKG_VERSION")));
    assert!(machine.run(&["id", "sidekey"]).contains("(sidekey)"));
    assert_eq!(machine.run(&["stat", "--format=%a %U", "/etc/sidekey/secrets"]), "700 sidekey\n");
    let status = machine.output(&["systemctl", "is-enabled", "sidekey.service", "sidekey.socket"]);
    assert_eq!(String::from_utf8_lossy(&status.stdout), "disabled\ndisabled\n");

    let add = "echo t0ken | runuser -u sidekey -- sidekey add --provider github --secret token=stdin --yes --no-test";
    machine.run(&["sh", "-c", add]);
    let check = machine.run(&["runuser", "-u", "sidekey", "--", "sidekey", "check"]);
    assert!(check.contains("1 service, no error"), "{check}");

    // What an administrator wrote stays, at an upgrade and at a removal, and so do the secrets.
    machine.write("/etc/sidekey/services.yaml", "services: {}\n");
    rpm(&["--upgrade", "--nodeps", SECOND]);
    let second = rpm(&["--query", "sidekey"]);
    assert!(second != first && second.lines().count() == 1, "{first}{second}");
    assert_eq!(fs::read_to_string(machine.path("/etc/sidekey/services.yaml")).unwrap(), "services: {}\n");
    assert_eq!(machine.run(&["stat", "--format=%a %U", "/etc/sidekey/secrets"]), "700 sidekey\n");

    rpm(&["--erase", "--nodeps", "sidekey"]);
    for gone in [
        "/usr/bin/sidekey",
        "/usr/lib/systemd/system/sidekey.service",
        "/usr/lib/systemd/system/sidekey.socket",
    ] {
        assert!(!exists(gone), "{gone} is left");
    }
    let saved = fs::read_to_string(machine.path("/etc/sidekey/services.yaml.rpmsave")).unwrap();
    assert_eq!(saved, "services: {}\n");
    assert!(exists("/etc/sidekey/secrets/github-token"));
    let known = machine.output(&["rpm", "--force-debian", "--query", "sidekey"]);
    assert!(!known.status.success(), "{}", String::from_utf8_lossy(&known.stdout));
}

#[test]
fn rpm_has_the_files_of_the_deb_and_scripts_that_parse() {
    let artefacts = Artefacts::of_this_checkout();
    let query = |what: &[&str]| succeed(Command::new(tool("rpm")).args(what).arg(artefacts.file(".rpm"))).0;
    let files = query(&["--query", "--package", "--list"]);
    for file in [
        "/usr/bin/sidekey",
        "/etc/sidekey/services.yaml",
        "/usr/lib/systemd/system/sidekey.service",
        "/usr/lib/systemd/system/sidekey.socket",
        "/usr/share/man/man1/sidekey.1.gz",
    ] {
        assert!(files.lines().any(|line| line == file), "{file} in\n{files}");
    }
    assert_eq!(query(&["--query", "--package", "--configfiles"]), "/etc/sidekey/services.yaml\n");
    assert!(query(&["--query", "--package", "--requires"]).contains("shadow-utils"));
    for script in ["pre", "post", "preun", "postun"] {
        let text = query(&["--query", "--package", "--queryformat", &format!("%{{{}}}", tag(script))]);
        assert!(text.contains("sidekey") || text.contains("systemctl"), "{script}: {text}");
        succeed(Command::new("sh").args(["-n", "-c", &text]));
    }
}

fn tag(script: &str) -> &'static str {
    match script {
        "pre" => "PREIN",
        "post" => "POSTIN",
        "preun" => "PREUN",
        _ => "POSTUN",
    }
}
