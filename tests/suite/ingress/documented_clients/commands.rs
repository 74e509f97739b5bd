//! The commands of a section, and the files and the configuration that they need.

use super::document::blocks;

/// One line of a shell block.
#[derive(Debug)]
pub struct Command {
    /// The line as it stands in the document.
    pub line: &'static str,
    /// What the client prints, if the document says that the command fails.
    pub fails_with: Option<&'static str>,
}

/// How a command reaches Sidekey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayIn {
    Prefix,
    Host,
    Port,
    HttpProxy,
    HttpsProxy,
}

impl Command {
    fn of(line: &'static str) -> Self {
        let fails_with = line.split_once("  # fails with ").map(|(_, text)| text);
        Self { line, fails_with }
    }

    pub fn way_in(&self) -> WayIn {
        let has = |part: &str| self.line.contains(part);
        match () {
            () if has("HTTPS_PROXY=") => WayIn::HttpsProxy,
            () if has("HTTP_PROXY=") || has("http_proxy=") => WayIn::HttpProxy,
            () if has(".internal:8080") => WayIn::Host,
            () if has("127.0.0.1:8081") => WayIn::Port,
            () if has("127.0.0.1:8080/") => WayIn::Prefix,
            () => panic!("no way in: {}", self.line),
        }
    }
}

/// The configuration of a section: its only YAML block.
pub fn configuration(section: &str) -> &'static str {
    let mut all = blocks(section).into_iter().filter(|(language, _)| *language == "yaml");
    let (_, text) = all.next().expect("a configuration");
    assert!(all.next().is_none(), "{section} has one configuration");
    text
}

/// The programs of a section: the name of the file, from the comment in the first line, and the text.
pub fn programs(section: &str) -> Vec<(&'static str, &'static str)> {
    let code = blocks(section).into_iter().filter(|(language, _)| ["python", "js"].contains(language));
    code.map(|(_, text)| {
        let (first, _) = text.split_once('\n').unwrap();
        (first.rsplit(' ').next().unwrap(), text)
    })
    .collect()
}

/// The commands of a section, in order.
pub fn commands(section: &str) -> Vec<Command> {
    let shell = blocks(section).into_iter().filter(|(language, _)| *language == "sh");
    shell.flat_map(|(_, text)| text.lines()).map(Command::of).collect()
}
