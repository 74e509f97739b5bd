//! The artefacts: complete, checkable, and what they say about the program is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::artefacts::{Artefacts, root, secret_key};
use crate::harness::{installed, tool};
use crate::suite::deploy::image::succeed;

#[test]
fn archive_has_the_program_with_pages_and_completions() {
    let artefacts = Artefacts::of_this_checkout();
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new(tool("tar"));
    succeed(
        tar.args(["--extract", "--strip-components=1", "--file"])
            .arg(artefacts.file(".tar.gz"))
            .current_dir(&folder),
    );
    let has = |file: &str| folder.path().join(file).is_file();
    for file in [
        "sidekey",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "THIRD-PARTY-NOTICES",
        "services.yaml",
        "docs/CONFIGURATION.md",
        "man/sidekey.1.gz",
        "man/sidekey-run.1.gz",
        "completions/sidekey.bash",
        "completions/_sidekey",
        "completions/sidekey.fish",
        "deploy/systemd/sidekey.service",
        "deploy/systemd/sidekey.socket",
        "deploy/kubernetes/README.md",
        "config/services.yaml",
    ] {
        assert!(has(file), "{file}");
    }
    assert_eq!(dead_links(folder.path()), Vec::<String>::new());
    let version = succeed(Command::new(folder.path().join("sidekey")).arg("--version")).0;
    assert_eq!(version.trim_end(), concat!("sidekey ", env!("CARGO_PKG_VERSION")));
    succeed(Command::new("bash").arg("-n").arg(folder.path().join("completions/sidekey.bash")));
    let notices = fs::read_to_string(folder.path().join("THIRD-PARTY-NOTICES")).unwrap();
    assert!(
        notices.contains("\n  rustls 0.") && notices.contains("Permission is hereby granted"),
        "{notices:.300}"
    );
}

/// The links of the pages of a folder, and of those in its folder `docs`, that lead to nothing in it.
fn dead_links(folder: &Path) -> Vec<String> {
    let files = |part: &str| fs::read_dir(folder.join(part)).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = files("")
        .chain(files("docs"))
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    assert!(pages.len() > 25, "{pages:?}");
    let mut dead = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let links = ["](", "src=\"", "srcset=\""].into_iter().flat_map(|start| text.split(start).skip(1));
        let links = links.map(|rest| rest.split([')', '#', '"', ' ']).next().unwrap());
        for link in links.filter(|link| !link.is_empty() && !link.contains(':')) {
            if !page.parent().unwrap().join(link).exists() {
                dead.push(format!("{}: {link}", page.strip_prefix(folder).unwrap().display()));
            }
        }
    }
    dead
}

#[test]
fn packaged_services_file_is_valid_with_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("services.yaml");
    let text = fs::read_to_string(root().join("deploy/packages/services.yaml")).unwrap();
    // The commented service, uncommented.
    let (head, service) = text.split_once("# services:").unwrap();
    let service = service.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let text = service.fold(format!("{head}services:"), |all, line| all + line + "\n");
    fs::write(&file, text).unwrap();
    fs::write(folder.path().join("billing-password"), "secret").unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    succeed(check.arg("check").arg(&file).env("CREDENTIALS_DIRECTORY", folder.path()));
}

#[test]
fn checksums_and_signature_hold_and_find_a_change() {
    let artefacts = Artefacts::of_this_checkout();
    let sums = fs::read_to_string(artefacts.file("SHA256SUMS")).unwrap();
    let listed: BTreeSet<_> = sums.lines().map(|line| line.split("  ").nth(1).unwrap().to_owned()).collect();
    let others = artefacts.names().into_iter().filter(|name| !name.starts_with("SHA256SUMS"));
    assert_eq!(listed, others.collect());
    assert_eq!(listed.len(), 5, "{listed:?}");
    succeed(
        Command::new(tool("sha256sum"))
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&artefacts.folder),
    );

    let copy = tempfile::tempdir().unwrap();
    for name in ["SHA256SUMS", "SHA256SUMS.minisig"] {
        fs::copy(artefacts.folder.join(name), copy.path().join(name)).unwrap();
    }
    let verifies = || {
        let mut minisign = Command::new(tool("minisign"));
        minisign.args(["-V", "-q", "-p"]).arg(secret_key().with_extension("pub"));
        minisign.arg("-m").arg(copy.path().join("SHA256SUMS")).output().unwrap().status.success()
    };
    assert!(verifies());
    fs::write(copy.path().join("SHA256SUMS"), sums.replacen(['0', '1'], "2", 1)).unwrap();
    assert!(!verifies(), "a changed list does not verify");
}

#[test]
fn sbom_is_valid_and_has_the_crates_of_the_program() {
    let file = Artefacts::of_this_checkout().file(".cdx.json");
    let validate = "import sys\nfrom cyclonedx.validation.json import JsonStrictValidator\nfrom cyclonedx.schema import SchemaVersion\n\
                    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())\n\
                    sys.exit(str(error) if error else 0)";
    succeed(Command::new(installed(".venv-cyclonedx/bin/python")).args(["-c", validate]).arg(&file));

    let document: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let components = document["components"].as_array().unwrap();
    let names: BTreeSet<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let absent = ["criterion", "jsonschema", "insta", "serde_derive", "cc"];
    assert!(
        ["rustls", "ring", "h2", "tokio", "pingora"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    assert!(!absent.iter().any(|name| names.contains(name)), "what is not in the program is not in the list");
    let is_complete = |one: &&Value| {
        one["hashes"][0]["content"].is_string() && one["licenses"][0]["expression"].is_string()
    };
    let incomplete: Vec<_> =
        components.iter().filter(|one| !is_complete(one)).map(|one| &one["name"]).collect();
    assert_eq!(incomplete, ["libz-ng-sys"], "that of vendor/ has no checksum");
}

#[test]
fn image_archive_is_readable_and_for_the_architecture() {
    let archive = Artefacts::of_this_checkout().file(".oci.tar");
    let mut skopeo = Command::new(tool("skopeo"));
    let said =
        succeed(skopeo.args(["inspect", "--config"]).arg(format!("oci-archive:{}", archive.display()))).0;
    let config: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/sidekey"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
}
