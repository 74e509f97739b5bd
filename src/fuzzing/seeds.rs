//! Runs every property on the files in `fuzz/seeds/`, so that what a fuzzer has found once stays found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A property, for any input.
type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 15] = [
    ("caller_certificate", super::caller_certificate),
    ("caller_credential", super::caller_credential),
    ("caller_token", super::caller_token),
    ("chunked_body", super::chunked_body),
    ("configuration", super::configuration),
    ("field_value", super::field_value),
    ("http2_body", super::http2_body),
    ("http2_heads", super::http2_heads),
    ("request_head", super::request_head),
    ("response_head", super::response_head),
    ("response_urls", super::response_urls),
    ("route", super::route),
    ("rules", super::rules),
    ("token_response", super::token_response),
    ("upstream_url", super::upstream_url),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

/// The files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The names of the files in a folder, without what follows the first dot.
fn names(folder: &str) -> BTreeSet<String> {
    let name = |path: PathBuf| path.file_prefix().unwrap().to_str().unwrap().to_owned();
    files(&root().join("fuzz").join(folder)).into_iter().map(name).collect()
}

#[test]
fn properties_hold_for_every_seed() {
    for (target, property) in TARGETS {
        let mut seeds = files(&root().join("fuzz/seeds").join(target));
        assert!(seeds.len() > 2, "{target} has no seeds");
        if target == "configuration" {
            let samples =
                files(&root().join("config")).into_iter().chain(files(&root().join("config/services.d")));
            seeds.extend(samples.filter(|sample| sample.is_file()));
        }
        for seed in seeds {
            // Shown if the property does not hold.
            println!("{}", seed.display());
            property(&fs::read(seed).unwrap());
        }
    }
}

#[test]
fn fuzz_folder_has_every_property() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names("seeds"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for target in &targets {
        let program = format!("[[bin]]\nname = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"\n");
        assert!(manifest.contains(&program), "fuzz/Cargo.toml has no program {target}");
        let code = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{target}.rs"))).unwrap();
        assert!(
            code.contains(&format!("sidekey::fuzzing::{target}(input)")),
            "{target} fuzzes something else"
        );
    }
    let dictionaries = names("dictionaries");
    assert!(dictionaries.is_subset(&targets), "{dictionaries:?}");
}
