#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn value(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn edit(text: &str) -> ServicesText<'_> {
    ServicesText::parse(text).unwrap()
}

const FILE: &str = "\
# Ours.
listen: 127.0.0.1:8080   # callers

services:
  # The first.
  one:
    upstream: https://one.example
    auth: { type: bearer, token: { env: ONE } }   # from CI

  # The second.
  # Of team B.
  two:   # two
    upstream: https://two.example
    timeouts:
      total: 5m   # long
    auth:
      type: basic
      username: a
      password: { file: /b }
    # the end of two

log: { level: info }   # quiet
";

#[test]
fn inserted_service_follows_the_last_one_and_nothing_else_changes() {
    let new =
        edit(FILE).insert("three", &value("{upstream: 'https://three.example', auth: {use: x}}")).unwrap();
    let expected = FILE.replace(
        "    # the end of two\n",
        "    # the end of two\n\n  three:\n    upstream: https://three.example\n    auth: { use: x }\n",
    );
    assert_eq!(new, expected);
}

#[test]
fn service_is_inserted_into_every_form_of_services() {
    let service = value("{upstream: 'https://a.example', via: true}");
    let block = "services:\n  a:\n    upstream: https://a.example\n    via: true\n";
    for (text, expected) in [
        ("", block.to_owned()),
        ("# a comment", format!("# a comment\n{block}")),
        ("listen: x", format!("listen: x\n{block}")),
        ("services:\n", block.to_owned()),
        ("services: {}\n", block.to_owned()),
        ("services: ~\nlog: {}\n", format!("{block}log: {{}}\n")),
        ("{\"services\": {\"b\": {}}}", "{\"services\": {\"b\": {}, a: { upstream: https://a.example, via: true }}}".into()),
        ("{}", "{ services: { a: { upstream: https://a.example, via: true } } }".into()),
        ("services:\n    b:\n        x: 1", "services:\n    b:\n        x: 1\n    a:\n      upstream: https://a.example\n      via: true\n".into()),
        ("services:\n  b:\n    x: |\n      y\n\n...\n", "services:\n  b:\n    x: |\n      y\n  a:\n    upstream: https://a.example\n    via: true\n\n...\n".into()),
    ] {
        assert_eq!(edit(text).insert("a", &service).as_deref(), Ok(expected.as_str()), "{text}");
    }
}

#[test]
fn removed_service_takes_its_own_comments_along() {
    let expected =
        FILE.replace(&FILE[FILE.find("  # The second").unwrap()..FILE.find("\nlog:").unwrap()], "");
    assert_eq!(
        edit(FILE).remove("two").unwrap().replace("\n\n\n", "\n\n"),
        expected.replace("\n\n\n", "\n\n")
    );
    let new = edit(FILE).remove("one").unwrap();
    assert!(new.contains("services:\n  # The second.\n") && !new.contains("first"), "{new}");
    assert_eq!(
        edit("services:\n  a:\n    x: 1\n# end\n").remove("a").as_deref(),
        Ok("services:\n  {}\n# end\n")
    );
    assert_eq!(edit("services: {a: {x: 1}, b: {}}").remove("a").as_deref(), Ok("services: {b: {}}"));
    assert_eq!(edit("services: {a: {x: 1}, b: {}}").remove("b").as_deref(), Ok("services: {a: {x: 1}}"));
}

#[test]
fn set_changes_one_value_and_keeps_its_comment() {
    let two = |path: &[&str], new: &str| edit(FILE).set("two", path, &value(new)).unwrap();
    assert_eq!(two(&["timeouts", "total"], "2m"), FILE.replace("5m   # long", "2m   # long"));
    assert_eq!(two(&["auth", "password", "file"], "/c"), FILE.replace("file: /b", "file: /c"));
    assert_eq!(two(&["auth", "password"], "{env: P}"), FILE.replace("{ file: /b }", "{ env: P }"));
    assert_eq!(
        two(&["timeouts", "connect"], "1s"),
        FILE.replace("total: 5m   # long\n", "total: 5m   # long\n      connect: 1s\n")
    );
    assert_eq!(
        two(&["pool", "max_idle"], "3"),
        FILE.replace("    # the end of two\n", "    pool: { max_idle: 3 }\n    # the end of two\n")
    );
    let one = edit(FILE).set("one", &["auth", "previous"], &value("{env: OLD}")).unwrap();
    assert_eq!(one, FILE.replace("{ env: ONE } }", "{ env: ONE }, previous: { env: OLD } }"));
}

#[test]
fn unset_removes_a_key_and_what_becomes_empty() {
    let new = edit(FILE).unset("two", &["timeouts", "total"]).unwrap();
    assert_eq!(new, FILE.replace("    timeouts:\n      total: 5m   # long\n", ""));
    let new = edit(FILE).unset("one", &["auth", "token"]).unwrap();
    assert_eq!(new, FILE.replace("{ type: bearer, token: { env: ONE } }", "{ type: bearer }"));
}

#[test]
fn windows_line_ends_and_wide_characters_are_no_obstacle() {
    let text = "# é ü 漢\r\nservices:\r\n  a:   # ключ\r\n    x: 'é'\r\n    y: 2\r\n";
    assert_eq!(edit(text).set("a", &["y"], &value("3")).as_deref(), Ok(text.replace('2', "3").as_str()));
    assert_eq!(edit(text).set("a", &["x"], &value("z")).as_deref(), Ok(text.replace("'é'", "z").as_str()));
}

#[test]
fn new_lines_have_the_line_ends_and_the_byte_order_mark_of_the_text() {
    let service = value("{upstream: 'https://c.example', labels: {a: \"x\\ny\"}}");
    for text in [FILE.to_owned(), FILE.replace('\n', "\r\n")] {
        let marked = format!("\u{feff}{text}");
        for text in [text, marked] {
            let edit = edit(&text);
            let edited = [
                edit.insert("three", &service),
                edit.remove("one"),
                edit.set("one", &["via"], &value("true")),
                edit.set("two", &["timeouts", "idle"], &value("5s")),
                edit.unset("two", &["timeouts", "total"]),
                edit.replace_lines("one", "  one:\n    upstream: https://b.example\n"),
            ];
            for text_after in edited {
                let text_after = text_after.unwrap();
                let line_ends = |text: &str| {
                    text.contains('\n') && text.matches('\n').count() == text.matches("\r\n").count()
                };
                assert_eq!(line_ends(&text_after), line_ends(&text), "{text_after:?}");
                assert_eq!(
                    text_after.matches('\u{feff}').count(),
                    text.matches('\u{feff}').count(),
                    "{text_after:?}"
                );
                assert!(ServicesText::parse(&text_after).is_ok(), "{text_after:?}");
            }
        }
    }
}

#[test]
fn value_in_flow_style_stays_on_its_line_and_keeps_the_comment() {
    let new = edit(FILE).set("one", &["auth"], &value("{ use: shared }")).unwrap();
    assert_eq!(new, FILE.replace("{ type: bearer, token: { env: ONE } }", "{ use: shared }"));
}

#[test]
fn change_that_would_mean_more_than_itself_is_refused() {
    let text = "services:\n  a: &a\n    x: &x 1\n  b: *a\n  c:\n    <<: *a\n    y: *x\n";
    assert_eq!(edit(text).set("a", &["x"], &value("2")), Err(EditError::NotEditable));
    assert_eq!(edit(text).set("b", &["x"], &value("2")), Err(EditError::NotEditable));
    assert_eq!(edit(text).remove("a"), Err(EditError::NotEditable));
    assert_eq!(edit(text).remove("c").as_deref(), Ok("services:\n  a: &a\n    x: &x 1\n  b: *a\n"));
    assert_eq!(edit("a: 1").remove("x"), Err(EditError::NoService("x".into())));
    assert_eq!(edit(FILE).insert("one", &value("{}")), Err(EditError::Exists("one".into())));
    assert_eq!(edit(FILE).unset("one", &["via"]), Err(EditError::NoKey("via".into())));
    assert_eq!(edit("services: 5").insert("a", &value("{}")), Err(EditError::NotEditable));
    assert!(ServicesText::parse("- a\n").is_err() && ServicesText::parse("a: [").is_err());
}

fn change() -> impl Strategy<Value = (u8, usize, String)> {
    (0..4u8, 0..40usize, "[a-z]{1,6}")
}

proptest! {
    /// Whatever is changed in the sample: a change is refused, or it is what was asked for, and every comment of other services
    /// is still there.
    #[test]
    fn sample_keeps_its_comments_through_changes(changes in prop::collection::vec(change(), 1..6)) {
        let mut text = include_str!("../../../../config/services.yaml").to_owned();
        for (what, at, word) in changes {
            let services = edit(&text);
            let names: Vec<_> = services.names().into_iter().map(str::to_owned).collect();
            let Some(name) = names.get(at % names.len().max(1)) else { continue };
            let comments = |text: &str| text.lines().filter(|line| line.trim_start().starts_with("# ")).count();
            let changed = match what {
                0 => services.insert(&word, &value("{upstream: 'https://x.example'}")),
                1 => services.set(name, &["auth", "type"], &value(&word)),
                2 => services.set(name, &["timeouts", &word], &value("1s")),
                _ => services.unset(name, &["auth"]),
            };
            if let Ok(changed) = changed {
                prop_assert!(comments(&changed) + 1 >= comments(&text), "{changed}");
                text = changed;
            }
        }
    }
}
