//! `sidekey add`, `edit`, `remove`, `enable`, `disable` and `rotate`: changes of the services file.

mod add;
mod edit;
mod included;
mod rotate;
mod terminal;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::{MockResponse, MockUpstream, Sidekey};

/// A folder with a services file that commands change, and an API that accepts some tokens.
struct Setup {
    dir: TempDir,
    upstream: MockUpstream,
}

impl Setup {
    /// A services file with this text; `$UPSTREAM` and `$DIR` are replaced. The API accepts these bearer tokens.
    async fn new(text: &str, accepted: &'static [&'static str]) -> Self {
        let dir = TempDir::with_prefix("sidekey-services-").unwrap();
        let upstream = MockUpstream::plain().await;
        accept(&upstream, accepted);
        let setup = Self { dir, upstream };
        if !text.is_empty() {
            let text = text.replace("$UPSTREAM", &setup.upstream.url());
            fs::write(setup.file(), text.replace("$DIR", setup.dir.path().to_str().unwrap())).unwrap();
        }
        setup
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.at("services.yaml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Runs a command on the services file; returns the exit code and what is printed.
    async fn run(&self, arguments: &[&str], input: &str) -> (i32, String) {
        let file = self.file();
        let all = [arguments, &["-c", file.to_str().unwrap()]].concat();
        let output = Sidekey::command_with_input(&all, input.as_bytes()).await;
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!printed.contains("CANARY"), "{printed}");
        (output.status.code().unwrap(), printed)
    }
}

/// Makes the API accept these bearer tokens, and no other.
fn accept(upstream: &MockUpstream, tokens: &'static [&'static str]) {
    upstream.respond_with(move |request| {
        let sent = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        MockResponse::status(if sent.is_some_and(|token| tokens.contains(&token)) { 200 } else { 401 })
    });
}
