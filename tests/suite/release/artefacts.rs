//! The artefacts of `scripts/release`, made from the program under test: once for all tests, which run in processes of their own.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::suite::deploy::image::{static_binary, succeed};

/// What the artefacts are made of, besides the program.
const SOURCES: [&str; 15] = [
    ".github/CODEOWNERS",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "GOVERNANCE.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "benches/results",
    "config",
    "deploy",
    "docs",
    "scripts",
    "src/presets/providers.yaml",
];

/// The password of the key that signs in the tests.
pub const PASSWORD: &str = "for tests";

/// A folder with the artefacts.
pub struct Artefacts {
    pub folder: PathBuf,
}

impl Artefacts {
    /// The artefacts of this check-out. The first test that asks makes them, the others wait.
    pub fn of_this_checkout() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let artefacts = Self { folder: folder.join("artefacts") };
        let (stamp, key) = (folder.join("stamp"), key());
        if fs::read_to_string(&stamp).unwrap_or_default() != key {
            let _ = fs::remove_file(&stamp);
            let _ = fs::remove_dir_all(&artefacts.folder);
            artefacts.make(root(), &[]);
            fs::write(&stamp, key).unwrap();
        }
        artefacts
    }

    /// Runs `scripts/release` in a check-out.
    pub fn make(&self, checkout: &Path, environment: &[(&str, &str)]) {
        self.make_with(checkout, &[], environment);
    }

    /// The same, with these options.
    pub fn make_with(&self, checkout: &Path, options: &[&str], environment: &[(&str, &str)]) {
        let mut script = Command::new(checkout.join("scripts/release"));
        script.args(options);
        script.args(["--fast", "--binary"]).arg(static_binary()).arg("--out").arg(&self.folder);
        script.arg("--key").arg(secret_key()).env("MINISIGN_PASSWORD", PASSWORD);
        for tool in ["cargo", "rustc"] {
            // What Cargo says of this package to its tests is not for the commands that the script runs.
            script.env_remove(tool.to_uppercase());
        }
        succeed(script.envs(environment.iter().copied()));
    }

    /// The path of the only artefact with this ending.
    pub fn file(&self, ending: &str) -> PathBuf {
        let names = self.names();
        let mut found = names.iter().filter(|name| name.ends_with(ending));
        let name = found.next().unwrap_or_else(|| panic!("no {ending} among {names:?}"));
        assert_eq!(found.next(), None);
        self.folder.join(name)
    }

    /// The names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(&self.folder).unwrap().map(name).collect();
        names.sort();
        names
    }
}

/// A key to sign with, made for this build folder. Its public key is beside it.
pub fn secret_key() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-key");
    let (secret, public) = (folder.join("key"), folder.join("key.pub"));
    if !public.exists() {
        fs::create_dir_all(&folder).unwrap();
        let words = format!("{PASSWORD}\n{PASSWORD}\n");
        let mut generate = Command::new("sh");
        generate.args(["-c", r#"printf %s "$1" | minisign -G -f -s "$2" -p "$3""#, "sh", &words]);
        succeed(generate.arg(&secret).arg(&public));
    }
    secret
}

/// A hash of everything that the artefacts are made of.
fn key() -> String {
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        hash_of(&root().join(source), &mut hasher);
    }
    fs::read(static_binary()).unwrap().hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

fn hash_of(path: &Path, hasher: &mut DefaultHasher) {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            hash_of(&entry, hasher);
        }
    } else {
        path.hash(hasher);
        fs::read(path).unwrap().hash(hasher);
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
