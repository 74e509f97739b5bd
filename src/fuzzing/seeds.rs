//! Runs every property on the files in `fuzz/seeds/`, so that what a fuzzer has found once stays found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use fastrand::Rng;

/// A property, for any input.
type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 19] = [
    ("admission_review", super::admission_review),
    ("caller_certificate", super::caller_certificate),
    ("caller_credential", super::caller_credential),
    ("caller_token", super::caller_token),
    ("chunked_body", super::chunked_body),
    ("configuration", super::configuration),
    ("field_value", super::field_value),
    ("http2_body", super::http2_body),
    ("http2_connection", super::http2_connection),
    ("http2_heads", super::http2_heads),
    ("http2_upstream", super::http2_upstream),
    ("manifest", super::manifest),
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

/// A fuzzer without coverage, for machines on which there is no other: `SIDEKEY_FUZZ_ROUNDS=1000` tries as many changes of each seed, and
/// `SIDEKEY_FUZZ_TARGET` names one target.
#[test]
fn properties_hold_for_changed_seeds() {
    let rounds = env::var("SIDEKEY_FUZZ_ROUNDS").map_or(2, |text| text.parse().expect("a number"));
    let target = env::var("SIDEKEY_FUZZ_TARGET").ok();
    for (name, property) in TARGETS.iter().filter(|(name, _)| target.as_ref().is_none_or(|only| only == name))
    {
        let seeds = files(&root().join("fuzz/seeds").join(name));
        let seeds: Vec<_> = seeds.iter().map(|seed| fs::read(seed).unwrap()).collect();
        let mut random = Rng::with_seed(7);
        for seed in &seeds {
            for _ in 0..rounds {
                let changed = changed(seed, &seeds, &mut random);
                let outcome = std::panic::catch_unwind(|| property(&changed));
                assert!(outcome.is_ok(), "{name}: {}", changed.escape_ascii());
            }
        }
    }
}

/// A seed with up to four changes.
fn changed(seed: &[u8], seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(0..=bytes.len());
        let end = random.usize(at..=bytes.len().min(at + 16));
        match random.u8(0..5) {
            0 => bytes.insert(at, random.u8(..)),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => {
                let other = &seeds[random.usize(0..seeds.len())];
                let from = random.usize(0..=other.len());
                let part = other[from..other.len().min(from + 32)].iter().copied();
                bytes.splice(at..end, part);
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(0..8)),
        }
    }
    bytes
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
