//! What can be added.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::presets;
use crate::presets::{AnswerFormat, Preset, Question, SecretQuestion};

/// What can be added.
#[derive(Serialize, ToSchema)]
#[schema(as = Presets)]
pub(in crate::admin) struct PresetsView {
    /// Providers first, then the plain kinds.
    presets: Vec<PresetView>,
}

/// A provider, or a kind of credential.
#[derive(Serialize, ToSchema)]
#[schema(as = Preset)]
struct PresetView {
    /// Its identifier; also the default name of the service.
    id: &'static str,
    /// Its name.
    title: &'static str,
    /// Where the provider documents its authentication.
    docs: &'static str,
    /// Where a person makes the credential; `null` for the plain kinds.
    obtain: Option<&'static str>,
    /// What is asked and is not secret.
    questions: Vec<QuestionView>,
    /// The secrets.
    secrets: Vec<SecretQuestionView>,
    /// What is easily got wrong.
    notes: &'static [String],
}

/// Something that is asked and is not secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Question)]
struct QuestionView {
    /// Its name in `answers`.
    name: &'static str,
    /// The question.
    prompt: &'static str,
    /// What an answer looks like: `text`, `label` (of a host name), `host`, or `capitals` (no small letters).
    format: &'static str,
    /// The answer if none is given; `null` if there is none.
    default: Option<&'static str>,
    /// Whether there may be no answer.
    optional: bool,
}

/// A secret that is asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = SecretQuestion)]
struct SecretQuestionView {
    /// Its name in `secrets`.
    name: &'static str,
    /// What it is.
    prompt: &'static str,
}

/// Lists the presets: what can be added, and what each of them asks.
#[utoipa::path(
    get,
    path = "/api/v1/presets",
    operation_id = "listPresets",
    responses((status = 200, description = "The presets.", body = PresetsView)),
)]
pub(in crate::admin) async fn list() -> Json<PresetsView> {
    Json(PresetsView { presets: presets::all().iter().map(PresetView::of).collect() })
}

impl PresetView {
    fn of(preset: &'static Preset) -> Self {
        Self {
            id: &preset.id,
            title: &preset.title,
            docs: &preset.docs,
            obtain: preset.obtain.as_deref(),
            questions: preset.answers.iter().map(QuestionView::of).collect(),
            secrets: preset.secrets.iter().map(SecretQuestionView::of).collect(),
            notes: &preset.notes,
        }
    }
}

impl QuestionView {
    fn of(question: &'static Question) -> Self {
        let format = match question.format {
            AnswerFormat::Text => "text",
            AnswerFormat::Label => "label",
            AnswerFormat::Host => "host",
            AnswerFormat::Capitals => "capitals",
        };
        let (name, prompt, default) = (&question.name, &question.prompt, question.default.as_deref());
        Self { name, prompt, format, default, optional: question.optional }
    }
}

impl SecretQuestionView {
    fn of(secret: &'static SecretQuestion) -> Self {
        Self { name: &secret.name, prompt: &secret.prompt }
    }
}
