//! The parts of `docs/CLIENTS.md`: sections, and the code blocks in them.

pub const DOCUMENT: &str = include_str!("../../../../docs/CLIENTS.md");

/// The names of the sections, in order.
pub fn sections() -> Vec<&'static str> {
    DOCUMENT.lines().filter_map(|line| line.strip_prefix("## ")).collect()
}

/// The text of a section.
pub fn section(name: &str) -> &'static str {
    let start = format!("\n## {name}\n");
    let (_, rest) = DOCUMENT.split_once(&start).expect("a section of that name");
    rest.split("\n## ").next().unwrap()
}

/// The code blocks of a section, in order: language and text.
pub fn blocks(name: &str) -> Vec<(&'static str, &'static str)> {
    let fenced = section(name).split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}
