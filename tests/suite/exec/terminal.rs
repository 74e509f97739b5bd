//! A command in a terminal, and in process 1 of a container.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::setup::{SECRET, Stage, printed, text};
use crate::harness::{run, tool};

const BINARY: &str = env!("CARGO_BIN_EXE_sidekey");

/// Types and reads in a terminal in which a program runs.
async fn in_terminal(steps: Value, program: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/terminal.py");
    let mut command = Command::new(tool("python3"));
    command.arg(script).arg(steps.to_string()).args(program).env("API_TOKEN", SECRET);
    run(command, b"").await
}

#[tokio::test]
async fn signals_of_the_terminal_reach_the_command_once() {
    let stage = Stage::new().await;
    let config = stage.config();
    let shell = "n=0; trap 'n=$((n + 1)); echo interrupted $n.' INT; trap 'echo asked' USR1; echo ready
until read -r line; do :; done
kill -USR1 $PPID; until read -r line; do :; done; echo \"$line after $n\"";
    // Two signals may become one while they wait, so that one round could hide the second.
    let mut steps = vec![json!({ "see": "ready" })];
    for round in 1..=20 {
        steps.extend([json!({ "type": "\u{3}" }), json!({ "see": format!("interrupted {round}.") })]);
    }
    // What Sidekey would forward for the terminal comes before what it forwards for `kill`.
    let end = [("type", "first\n"), ("see", "asked"), ("type", "second\n"), ("see", "second after 20\r")];
    steps.extend(end.map(|(what, text)| json!({ what: text })));
    let program = [BINARY, "exec", "--config", config.to_str().unwrap(), "--", "bash", "-c", shell];
    printed(&in_terminal(steps.into(), &program).await);
}

#[tokio::test]
async fn command_is_stopped_and_continued_by_the_shell_around_it() {
    let stage = Stage::new().await;
    let line =
        format!("{BINARY} exec --config {} -- sh -c 'echo rea''dy; cat; exit 5'\n", stage.config().display());
    let steps = json!([
        { "see": "bash-" }, { "type": line }, { "see": "ready" }, { "type": "first\n" }, { "see": "first\r\nfirst" }, { "type": "\u{1a}" }, { "see": "Stopped" },
        // What is typed before the prompt is lost when the shell takes the terminal back.
        { "see": "bash-" },
        { "type": "echo in $((40 + 2)) shell\n" }, { "see": "in 42 shell" }, { "type": "fg\n" }, { "see": "cat; exit 5'" },
        { "type": "hello\n" }, { "see": "hello\r\nhello" }, { "type": "\u{4}" }, { "see": "bash-" },
        { "type": "exit $?\n" },
    ]);
    let output = in_terminal(steps, &["bash", "--norc", "--noprofile", "-i"]).await;
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stdout));
}

#[tokio::test]
async fn process_1_collects_what_the_command_leaves_behind() {
    let stage = Stage::new().await;
    let orphan = stage.dir().join("orphan-process");
    std::fs::copy("/bin/sleep", &orphan).unwrap();
    // Its own name is that of the program, as long as it runs or was not collected.
    let shell = format!(
        "echo parent $PPID; for i in 1 2 3 4 5; do ({} 0.1 &); done
while grep -q orphan-process /proc/[0-9]*/comm 2> /dev/null; do sleep 0.05; done; exit 6",
        orphan.display()
    );
    let mut command = Command::new(tool("unshare"));
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"]).arg(BINARY);
    command.arg("exec").arg("--config").arg(stage.config()).args(["--", "sh", "-c", &shell]);
    let output = run(
        {
            command.env("API_TOKEN", SECRET);
            command
        },
        b"",
    )
    .await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(6), "parent 2\n".into()), "{output:?}");
}
