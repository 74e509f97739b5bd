//! `allow` and `deny`: which requests a service accepts.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::rules::{InvalidRule, Rule, Rules};

/// The format of `allow` and of `deny`.
pub(crate) const RULES: Format = Format::OneOrMore(&RULE);

const RULE: Format = Format::Defined(&Definition {
    name: "rule",
    description: "Requests: a pattern of paths, methods and a pattern, or the name of a rule that is ready.",
    format: Format::AnyOf(&[Format::Text, Format::Keys(&[KEYS])]),
});

const KEYS: Keys = &[
    Key::optional("methods", Format::OneOrMore(&Format::Text), "Methods in capital letters; any by default."),
    Key::optional("path", Format::Text, "Pattern of the path: segments, `*` and `**`; any by default."),
    Key::optional("grpc", Format::Text, "A gRPC method: `package.Service/Method`, with `*`."),
];

/// Reads `allow` and `deny` of a service.
pub(crate) fn read(mapping: &mut Mapping<'_>) -> Option<Rules> {
    let [allow, deny] = ["allow", "deny"].map(|key| {
        let values = mapping.optional(key).map_or_else(Vec::new, |value| value.one_or_more());
        values.iter().filter_map(|value| Some(rule(value)?.in_file(&value.file()))).collect()
    });
    Rules::new(allow, deny)
}

fn rule(value: &Value<'_>) -> Option<Rule> {
    let line = value.line();
    if !value.is_map() {
        return value.parse(|text| Rule::parse(text, line).map_err(|invalid| invalid.to_string()));
    }
    let mut mapping = value.mapping()?;
    let methods = mapping.optional("methods").map_or_else(Vec::new, |value| value.one_or_more());
    let methods: Vec<_> = methods.iter().filter_map(Value::text).collect();
    let (path, grpc) = (mapping.optional("path"), mapping.optional("grpc"));
    let (path, grpc_method) = (path.as_ref().and_then(Value::text), grpc.as_ref().and_then(Value::text));
    mapping.reject_unknown_keys();
    if methods.is_empty() && path.is_none() && grpc.is_none() {
        value.error("a rule has `methods`, `path` or `grpc`");
        return None;
    }
    if let Some(grpc) = grpc.filter(|_| !methods.is_empty() || path.is_some()) {
        grpc.error("`grpc` stands alone: a gRPC method is a path and `POST`");
        return None;
    }
    let rule = match grpc_method {
        Some(method) => Rule::of_grpc(method, line),
        None => Rule::of_parts(&methods, path, line),
    };
    rule.map_err(|invalid: InvalidRule| value.error(invalid.to_string())).ok()
}
