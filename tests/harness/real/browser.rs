//! Chromium, driven by Playwright: see `tests/real/page.mjs`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{installed, tests_file, tool};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page. Ends when dropped.
pub struct Browser {
    _process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    pub fn start() -> Self {
        installed("node_modules/playwright-core");
        let mut command = Command::new(tool("node"));
        command.arg(tests_file("real/page.mjs")).env("CHROMIUM", tool("chromium"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, commands, answers }
    }

    /// Opens a page of this width, in the light or dark scheme; returns its status and headers.
    pub async fn open(&mut self, url: &str, width: u32, dark: bool) -> Value {
        self.command(&json!({ "op": "open", "url": url, "width": width, "height": 900, "dark": dark })).await
    }

    /// The value of a JavaScript expression in the page.
    pub async fn eval(&mut self, js: &str) -> Value {
        self.command(&json!({ "op": "eval", "js": js })).await
    }

    /// The visible text of the first element that a selector finds.
    pub async fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?}).innerText")).await;
        text.as_str().unwrap_or_else(|| panic!("{selector}: {text}")).to_owned()
    }

    /// Waits until a JavaScript expression is true.
    pub async fn wait(&mut self, js: &str) {
        self.command(&json!({ "op": "wait", "js": js })).await;
    }

    pub async fn click(&mut self, selector: &str) {
        self.command(&json!({ "op": "click", "selector": selector })).await;
    }

    pub async fn fill(&mut self, selector: &str, text: &str) {
        self.command(&json!({ "op": "fill", "selector": selector, "text": text })).await;
    }

    /// Chooses an option of a list by its value.
    pub async fn select(&mut self, selector: &str, value: &str) {
        self.command(&json!({ "op": "select", "selector": selector, "value": value })).await;
    }

    /// Types into what has the focus.
    pub async fn type_text(&mut self, text: &str) {
        self.command(&json!({ "op": "type", "text": text })).await;
    }

    pub async fn press(&mut self, key: &str) {
        self.command(&json!({ "op": "press", "key": key })).await;
    }

    /// The accessibility tree, as for a screen reader.
    pub async fn tree(&mut self) -> String {
        self.command(&json!({ "op": "tree" })).await.as_str().unwrap().to_owned()
    }

    pub async fn screenshot(&mut self, path: &std::path::Path) {
        self.command(&json!({ "op": "screenshot", "path": path })).await;
    }

    /// Console messages, errors, dialogs and requests to other origins since the last call.
    pub async fn messages(&mut self) -> Vec<String> {
        serde_json::from_value(self.command(&json!({ "op": "said" })).await).unwrap()
    }

    async fn command(&mut self, command: &Value) -> Value {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = timeout(TIMEOUT, self.answers.next_line()).await.expect("the browser answers").unwrap();
        let line = line.unwrap_or_else(|| panic!("the browser ended at {command}"));
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        if let Some(error) = answer.get("error") {
            panic!("{command}: {error}");
        }
        answer["ok"].take()
    }
}
