//! One decision about a request, as a line of the audit log.

use std::fmt::Write as _;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use crate::rules::Rule;

/// Longest text of a request in a line, in characters.
const MAX_CHARACTERS: usize = 1024;

/// A decision about a request. Nothing in it is a credential: neither a header field nor the query is recorded.
pub struct Event<'e> {
    /// The name of the caller; `None` if the configuration has no callers.
    pub caller: Option<&'e str>,
    /// What the caller is known by, such as `unix+network`.
    pub known_by: &'e str,
    /// The address of the listener.
    pub listener: &'e str,
    /// The method.
    pub method: &'e str,
    /// The path without the query, or the target of a `CONNECT`. `None` if the request leads to no service: such a path may hold anything.
    pub path: Option<&'e str>,
    /// The name of the service; empty if the request leads to none.
    pub service: &'e str,
    /// Why the request is refused; `None` if it is allowed.
    pub refused: Option<Reason<'e>>,
    /// The role that decided, and its line in the configuration.
    pub role: Option<(&'e str, usize)>,
    /// The rule that decided.
    pub rule: Option<&'e Rule>,
}

/// Why a request is refused.
#[derive(Clone, Copy)]
pub struct Reason<'e> {
    /// One of a closed set.
    pub name: &'static str,
    /// The same in words.
    pub text: &'e str,
}

impl Event<'_> {
    /// The line, with its end. Every character that could end a line or change a terminal is escaped.
    pub(super) fn line(&self, at: SystemTime) -> String {
        let role = self.role.map(|(name, line)| json!({ "name": name, "line": line }));
        let place = |rule: &Rule| json!({ "text": rule.text(), "file": rule.file(), "line": rule.line() });
        let decisive = self.rule.map(place);
        let object = json!({
            "time": DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true),
            "caller": self.caller,
            "known_by": self.known_by,
            "listener": self.listener,
            "method": shortened(self.method),
            "path": self.path.map(shortened),
            "service": self.service,
            "decision": if self.refused.is_none() { "allowed" } else { "denied" },
            "reason": self.refused.map(|reason| reason.name),
            "cause": self.refused.map(|reason| reason.text),
            "role": role,
            "rule": decisive,
        });
        let mut line = String::new();
        for character in object.to_string().chars() {
            // serde_json leaves DEL, the C1 controls and the separators of lines as they are.
            if character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                write!(line, "\\u{:04x}", u32::from(character)).expect("a String takes every text");
            } else {
                line.push(character);
            }
        }
        line + "\n"
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_one_json_object_whatever_the_request_has() {
        let path = format!("/a\n{{\"caller\":\"x\"}}\r\u{7f}\u{85}\u{2028}\u{202e}\"\\{}", "x".repeat(5000));
        let event = Event {
            caller: Some("billing"),
            known_by: "unix",
            listener: "127.0.0.1:1",
            method: "GET",
            path: Some(&path),
            service: "crm",
            refused: Some(Reason { name: "rule", text: "deny: /a" }),
            role: Some(("read", 3)),
            rule: None,
        };
        let line = event.line(SystemTime::UNIX_EPOCH);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.trim_end().chars().all(|c| !c.is_control()), "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&object["caller"], &object["decision"]), (&"billing".into(), &"denied".into()));
        assert_eq!(object["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(object["path"].as_str().unwrap().chars().count(), MAX_CHARACTERS + 1);
    }
}
