//! docs/LOGS.md is the reference of the log: each event of the sources from level info up has a row, and each row an event.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

/// An event as the sources write it, or a row of the page.
#[derive(Debug)]
struct Event {
    level: String,
    /// The fixed parts of the message, between what varies.
    message: Vec<String>,
    fields: BTreeSet<String>,
    place: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, into: &mut Vec<Event>) {
    for entry in read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read_to_string(&path).unwrap();
            let place = path.strip_prefix(root()).unwrap().display().to_string();
            events(&text, &place, into);
        }
    }
}

/// The macros of the `tracing` crate in a source file.
fn events(text: &str, place: &str, into: &mut Vec<Event>) {
    for level in ["error", "warn", "info"] {
        for (start, opening) in text.match_indices(&format!("tracing::{level}!(")) {
            let arguments = arguments(&text[start + opening.len()..]);
            let text_at = arguments.iter().position(|argument| argument.starts_with('"'));
            let text_at = text_at.unwrap_or_else(|| panic!("{place}: an event without a message"));
            let message = &arguments[text_at][1..];
            // `name = value`, or the name alone of a variable.
            let names = arguments[..text_at].iter().filter_map(|argument| argument.split('=').next());
            let fields = names.filter(|name| !name.is_empty() && !name.starts_with("target:"));
            into.push(Event {
                level: level.to_owned(),
                message: fixed(message.trim_end_matches('"')),
                fields: fields.map(|name| name.trim().to_owned()).collect(),
                place: format!("{place}:{}", text[..start].lines().count()),
            });
        }
    }
}

/// The fixed parts of a format string, without the indentation of continued lines.
fn fixed(format: &str) -> Vec<String> {
    let format = format.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = format.split('{').enumerate();
    parts
        .map(|(index, part)| if index == 0 { part } else { part.split_once('}').unwrap().1 }.to_owned())
        .collect()
}

/// The arguments of a macro call, without what follows it. A group in braces has fields of its own.
fn arguments(text: &str) -> Vec<String> {
    let (mut arguments, mut current, mut depth) = (Vec::new(), String::new(), 0);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                current.push('"');
                while let Some(next) = characters.next() {
                    match next {
                        '"' => break,
                        // A line that continues, or a character that is none of a fixed part.
                        '\\' => drop(characters.next()),
                        next => current.push(next),
                    }
                }
                current.push('"');
                continue;
            }
            '{' if depth == 0 && current.trim().is_empty() => continue,
            '}' if depth == 0 => continue,
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(std::mem::take(&mut current).trim().to_owned());
                continue;
            }
            _ => {}
        }
        current.push(character);
    }
    arguments.push(current.trim().to_owned());
    arguments
}

/// The rows: `` | level | `message` | `field`, … | … | ``
fn rows() -> Vec<Event> {
    let page = read_to_string(root().join("docs/LOGS.md")).unwrap();
    let mut rows = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", level @ ("error" | "warn" | "info"), message, fields, _, ""] = cells[..] else { continue };
        let plain = |text: &str| text.trim().trim_matches('`').to_owned();
        rows.push(Event {
            level: level.to_owned(),
            message: vec![plain(message)],
            fields: fields.split(',').map(plain).filter(|field| !field.is_empty()).collect(),
            place: format!("docs/LOGS.md:{}", number + 1),
        });
    }
    rows
}

/// Whether a field of a row, which may end in `.*`, is that of an event.
fn names(row: &str, field: &str) -> bool {
    row.strip_suffix('*').map_or(row == field, |start| field.starts_with(start))
}

/// Whether a row is about an event.
fn is_of(row: &Event, event: &Event) -> bool {
    row.level == event.level && begins(&row.message[0], &event.message)
}

/// Whether a message of these fixed parts can begin with a text.
fn begins(text: &str, message: &[String]) -> bool {
    let Some(mut rest) = text.strip_prefix(message[0].as_str()) else { return message[0].starts_with(text) };
    let mut is_fixed = !message[0].is_empty();
    for part in message[1..].iter().filter(|part| !part.is_empty()) {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            // The text ends within this part, of which it has a few characters at least.
            None => {
                return (4..part.len()).any(|end| part.get(..end).is_some_and(|start| rest.ends_with(start)));
            }
        }
        is_fixed = true;
    }
    is_fixed
}

#[test]
fn log_page_has_every_event_and_no_other() {
    let (mut events, rows) = (Vec::new(), rows());
    sources(&root().join("src"), &mut events);
    assert!(events.len() > 50 && rows.len() > 50, "both are found: {}, {}", events.len(), rows.len());
    let mut wrong = Vec::new();
    for event in &events {
        // The longest: one message may begin with another.
        let row = rows.iter().filter(|row| is_of(row, event)).max_by_key(|row| row.message[0].len());
        let Some(row) = row else {
            wrong.push(format!("{} has no row: {} {:?}", event.place, event.level, event.message));
            continue;
        };
        // A row that refers to the text below it says there what the fields are.
        for field in event.fields.iter().filter(|_| !row.fields.contains("see below")) {
            if field != "target" && !row.fields.iter().any(|known| names(known, field)) {
                wrong.push(format!("{}: the field {field} of {} is missing", row.place, event.place));
            }
        }
    }
    for row in &rows {
        let own: Vec<_> = events.iter().filter(|event| is_of(row, event)).collect();
        if own.is_empty() {
            wrong.push(format!("{} has no event: {} {:?}", row.place, row.level, row.message));
        }
        for known in row.fields.iter().filter(|known| *known != "see below") {
            if !own.iter().any(|event| event.fields.iter().any(|field| names(known, field))) {
                wrong.push(format!("{}: no event has the field {known}", row.place));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn log_fields_never_name_a_service_as_the_emitter() {
    let mut events = Vec::new();
    sources(&root().join("src"), &mut events);
    let names = events.iter().flat_map(|event| &event.fields);
    assert!(names.clone().any(|name| name == "sidekey.service"));
    assert!(!names.clone().any(|name| name == "service.name"));
}

#[test]
fn message_can_begin_with_a_row() {
    let begins = |row, format| begins(row, &fixed(format));
    assert!(begins("listening", "listening") && begins("cannot listen on", "cannot listen on {}: {error:#}"));
    assert!(begins("received SIGTERM, shutting down", "received {name}, shutting down"));
    assert!(begins("token refused", "{value} refused: {message}"));
    assert!(!begins("anything", "{text}") && !begins("token", "{value} refused: {message}"));
    assert!(!begins("received SIGHUP, reloading", "received {name}, shutting down"));
}

#[test]
fn events_are_read_from_sources() {
    let source = r#"
        tracing::warn!(a.b = f(1, "x"), c = %d, "fixed \
         part: {e}, {}", more);
        tracing::info!(target: "t", { e = g[1], h = 2, }, "request");
        tracing::error!(alone, other =
            i(), "last");
        tracing::debug!("not looked for");
    "#;
    let mut found = Vec::new();
    events(source, "here", &mut found);
    let found: Vec<_> = found.iter().map(|event| (event.message[0].as_str(), event.fields.len())).collect();
    assert_eq!(found, [("last", 2), ("fixed part: ", 2), ("request", 2)]);
}
