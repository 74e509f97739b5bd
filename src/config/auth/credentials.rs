//! `auth` and `credentials`: the credential of a service, inline or by the name of a shared one (`use`).
//!
//! No message shows a value or an unknown key of these sections.

use std::collections::HashMap;

use super::list;
use super::settings::{Auth, AuthKinds};
use crate::config::reader::error::Diagnostic;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::suggest::{did_you_mean, list};
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;

/// The format of `credentials`.
pub(crate) const CREDENTIALS: Format = Format::Names(&Names::of(Format::Credential));

/// The format of `auth`.
pub(crate) const AUTH: Format = Format::OneOrMore(&CREDENTIAL);

const CREDENTIAL: Format = Format::AnyOf(&[Format::Credential, Format::Keys(&[USE])]);

const USE: Keys = &[Key::required("use", Format::Text, "Name of an entry under `credentials`.")];

/// The key that every credential has; its kind has the others.
const TYPE: Keys = &[Key::required("type", Format::CredentialKind, "The kind of credential.")];

/// The credentials of `credentials`, by name. The errors of an invalid one are those of the services that use it.
pub(crate) struct Credentials<'a> {
    kinds: AuthKinds,
    named: HashMap<&'a str, Credential<'a>>,
    order: Vec<&'a str>,
}

struct Credential<'a> {
    /// With `None` there is an error.
    auth: Option<Auth>,
    errors: Vec<Diagnostic>,
    value: Value<'a>,
    used: bool,
}

impl<'a> Credentials<'a> {
    /// No named credentials.
    pub(crate) fn none(kinds: AuthKinds) -> Self {
        Self { kinds, named: HashMap::new(), order: Vec::new() }
    }

    /// Reads `credentials`.
    pub(crate) fn read(value: &Value<'a>, kinds: AuthKinds) -> Self {
        let mut credentials = Self::none(kinds);
        for (name, value) in value.entries().unwrap_or_default() {
            let report = value.report();
            let (auth, errors) = report.collect_entry(&value.spot(), || read_named(&value, kinds));
            let auth = auth.filter(|_| errors.is_empty());
            credentials.named.insert(name, Credential { auth, errors, value, used: false });
            credentials.order.push(name);
        }
        credentials
    }

    fn take(&mut self, value: &Value<'_>) -> Option<Auth> {
        let name = value.text()?;
        let Some(credential) = self.named.get_mut(name) else {
            let names = || self.order.iter().copied();
            let question = did_you_mean(name, names());
            let known = match self.order.len() {
                0 => "the file has no `credentials`".to_owned(),
                1..=20 => format!("`credentials` has {}", list(names())),
                count => format!("`credentials` has {count} others"),
            };
            let between = if question.is_empty() { "; " } else { " " };
            value.error(format!("no credential has this name{question}{between}{known}"));
            return None;
        };
        credential.used = true;
        value.report().repeat(credential.errors.iter().cloned());
        credential.auth.clone()
    }

    /// Warns of credentials that no service uses, and reports the errors in them.
    pub(crate) fn report_unused(&self) {
        for name in &self.order {
            let credential = &self.named[name];
            if !credential.used {
                credential.value.warn("no service uses this credential");
                credential.value.report().repeat(credential.errors.iter().cloned());
            }
        }
    }
}

fn read_named(value: &Value<'_>, kinds: AuthKinds) -> Option<Auth> {
    let mapping = value.mapping()?;
    if mapping.has("use") {
        value.error("`use` is allowed in a service's `auth` only; a credential cannot refer to another one");
        return None;
    }
    parse_inline(mapping, kinds)
}

/// Reads the `auth` of a service.
pub(crate) fn read(value: &Value<'_>, credentials: &mut Credentials<'_>) -> Option<Auth> {
    let entries = value.one_or_more().into_iter();
    list::of(
        entries
            .map(|value| {
                let auth = read_one(&value, credentials);
                (value, auth)
            })
            .collect(),
    )
}

fn read_one(value: &Value<'_>, credentials: &mut Credentials<'_>) -> Option<Auth> {
    let mut mapping = value.mapping()?;
    if !mapping.has("use") {
        return parse_inline(mapping, credentials.kinds);
    }
    if mapping.has("type") {
        value.error("both `use` and `type` are set; use a named credential or an inline one");
        return None;
    }
    mapping.allow(USE);
    let auth = mapping.required("use").and_then(|name| credentials.take(&name));
    mapping.reject_unknown_keys();
    auth
}

/// Reads an inline credential. If `type` is missing or invalid, the other keys are not checked.
fn parse_inline(mut mapping: Mapping<'_>, kinds: AuthKinds) -> Option<Auth> {
    if !mapping.has("type") {
        let types = list(kinds.iter().map(|kind| kind.name));
        mapping.value().error(format!("`type` is required; allowed: {types}"));
        return None;
    }
    mapping.allow(TYPE);
    let named: Vec<_> = kinds.iter().map(|kind| (kind.name, kind)).collect();
    let kind = mapping.required("type")?.one_of(&named)?;
    mapping.allow(kind.keys);
    let auth = (kind.read)(&mut mapping);
    mapping.reject_unknown_keys();
    auth
}
