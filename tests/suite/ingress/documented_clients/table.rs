//! The table of clients and ways in: each cell is what the commands of the section do.

use super::commands;
use super::commands::{Command, WayIn};
use super::document::section;

const WAYS: [WayIn; 5] = [WayIn::Prefix, WayIn::Host, WayIn::Port, WayIn::HttpProxy, WayIn::HttpsProxy];

/// The rows of the table: the first cell, and one for each way in.
fn rows() -> Vec<(&'static str, Vec<&'static str>)> {
    let lines = section("When a base URL is not enough").lines();
    let rows = lines.skip_while(|line| !line.starts_with("| client |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            (cells.next().unwrap(), cells.collect())
        })
        .collect()
}

/// The text between backticks.
fn quoted(cell: &'static str) -> Option<&'static str> {
    cell.split('`').nth(1)
}

/// The commands that a row is about: those of the section with the word in backticks, if the row has one.
fn commands_of(row: &'static str) -> Vec<Command> {
    let section = row.split([' ', ',']).next().unwrap();
    let word = row.split_once('(').map_or("", |(_, word)| quoted(word).unwrap());
    commands::commands(section).into_iter().filter(|command| command.line.contains(word)).collect()
}

#[test]
fn table_of_ways_in_is_what_the_commands_show() {
    assert_eq!(rows().len(), 12);
    for (row, cells) in rows() {
        let commands = commands_of(row);
        assert_eq!(cells.len(), WAYS.len(), "{row}");
        for (cell, way) in cells.into_iter().zip(WAYS) {
            let of_way: Vec<_> = commands.iter().filter(|command| command.way_in() == way).collect();
            assert_eq!(of_way.is_empty(), cell == "—", "{row}: {way:?}");
            for command in of_way {
                let expected = match cell {
                    "yes" => true,
                    "no" => false,
                    _ => command.line.contains(quoted(cell).expect("what it needs")),
                };
                assert_eq!(command.fails_with.is_none(), expected, "{row}: {cell}\n{}", command.line);
            }
        }
    }
}
