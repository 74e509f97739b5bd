//! The text of manifests: documents, one after the other, with objects in them.

use serde_json::Value;

use super::super::decision::{Decision, decide};
use super::super::refusal::Refusal;
use super::super::settings::Settings;
use super::document::{self, Document, Object};
use super::edit::Layout;
use super::injected::injected;
use super::restored::{is_injected, restored};

/// The size of the largest text, in bytes.
pub const MAX_SIZE: usize = 16 * 1024 * 1024;

/// What came of a text.
#[derive(Debug, PartialEq)]
pub struct Manifest {
    /// The text; that of the input if nothing was done.
    pub text: String,
    /// What was done with each object, in order.
    pub objects: Vec<ObjectReport>,
}

/// What was done with an object.
#[derive(Debug, PartialEq)]
pub struct ObjectReport {
    /// Kind and name: `deployment/orders`.
    pub name: String,
    /// What was done.
    pub outcome: Outcome,
    /// What the operator should know, one sentence each.
    pub warnings: Vec<String>,
}

/// What was done with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The sidecar was added.
    Injected,
    /// The object has the sidecar already, or is to be restored and never had it.
    Unchanged,
    /// The sidecar was not added.
    Skipped(Refusal),
    /// The sidecar was taken out.
    Restored,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// A text with the sidecar in its objects. Every other byte stays.
///
/// # Errors
///
/// If a part of the text is no YAML, an annotation of Sidekey's is wrong, or the text has a form to which nothing can be added.
pub fn inject(text: &str, settings: &Settings) -> Result<Manifest, TextError> {
    each_document(text, |read, objects| {
        let mut injections = Vec::new();
        for object in &read.objects {
            let decision = decide(&object.value, settings, None)
                .map_err(|error| read.error_at(&object.at, format!("{}: {error}", name(object, read))))?;
            let (outcome, warnings) = match decision {
                Decision::AlreadyInjected => (Outcome::Unchanged, Vec::new()),
                Decision::Skip(refusal) => (Outcome::Skipped(refusal), Vec::new()),
                Decision::Inject(mut injection) => {
                    let warnings = std::mem::take(&mut injection.warnings);
                    injections.push((object, injection));
                    (Outcome::Injected, warnings)
                }
            };
            objects.push(ObjectReport { name: name(object, read), outcome, warnings });
        }
        let Some(first) = injections.first().map(|(object, _)| *object) else { return Ok(None) };
        let changed = injected(read.document.text, &read.value, injections);
        changed.map(Some).map_err(|error| read.error_at(&first.at, format!("{}: {error}", name(first, read))))
    })
}

/// A text without what [`inject`] has added. Every other byte stays.
///
/// # Errors
///
/// If a part of the text is no YAML, or what was added cannot be taken out without changing more than that.
pub fn uninject(text: &str) -> Result<Manifest, TextError> {
    each_document(text, |read, objects| {
        for object in &read.objects {
            let outcome = if is_injected(&object.value) { Outcome::Restored } else { Outcome::Unchanged };
            objects.push(ObjectReport { name: name(object, read), outcome, warnings: Vec::new() });
        }
        let Some(first) = read.objects.iter().find(|object| is_injected(&object.value)) else {
            return Ok(None);
        };
        let changed = restored(read.document.text, &read.value, &read.objects);
        changed.map(Some).map_err(|error| read.error_at(&first.at, format!("{}: {error}", name(first, read))))
    })
}

/// A document that was read.
struct Read<'t> {
    document: Document<'t>,
    value: Value,
    objects: Vec<Object>,
}

impl Read<'_> {
    fn error_at(&self, pointer: &str, problem: String) -> TextError {
        let layout = Layout::new(self.document.text);
        let start =
            layout.as_ref().and_then(|layout| layout.find(pointer)).map_or(0, |found| found.node.range.start);
        let before = self.document.text[..start].matches('\n').count();
        TextError { line: self.document.first_line + before + 1, problem }
    }
}

/// Changes each document of a text: `change` returns its new text, or `None` if it stays.
fn each_document(
    text: &str,
    mut change: impl FnMut(&Read<'_>, &mut Vec<ObjectReport>) -> Result<Option<String>, TextError>,
) -> Result<Manifest, TextError> {
    if text.len() > MAX_SIZE {
        return Err(TextError { line: 1, problem: format!("larger than {} MiB", MAX_SIZE >> 20) });
    }
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let mut manifest = Manifest { text: mark.to_owned(), objects: Vec::new() };
    for document in document::split(body) {
        let read = read(document)?;
        match change(&read, &mut manifest.objects)? {
            Some(changed) => manifest.text.push_str(&changed),
            None => manifest.text.push_str(document.text),
        }
    }
    Ok(manifest)
}

fn read(document: Document<'_>) -> Result<Read<'_>, TextError> {
    let error = |(problem, line): document::ParseError| TextError {
        line: document.first_line + line.unwrap_or(0) + 1,
        problem: format!("not valid YAML: {problem}{}", document::template_hint(document.text)),
    };
    if !document::is_parsable(document.text, || Layout::new(document.text).is_some()) {
        return Err(error(("brackets that are not closed, or nested too deeply".into(), None)));
    }
    let value = match document::parse(document.text) {
        Ok(value) => value,
        // A key that is there twice is no concern of ours in what we do not change.
        Err(cause) => document::outline(document.text)
            .filter(|outline| !document::may_have_pod(outline))
            .ok_or_else(|| error(cause))?,
    };
    let objects = if value.is_null() { Vec::new() } else { document::objects(value.clone()) };
    Ok(Read { document, value, objects })
}

/// Kind and name of an object, as kubectl writes them.
fn name(object: &Object, read: &Read<'_>) -> String {
    let text = |pointer: &str| object.value.pointer(pointer).and_then(Value::as_str);
    let Some(kind) = text("/kind") else {
        return format!("document on line {}", read.document.first_line + 1);
    };
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or("?");
    format!("{}/{name}", kind.to_lowercase())
}
