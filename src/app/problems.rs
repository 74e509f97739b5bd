//! The log of mistakes that do not concern the whole configuration: each is logged when it appears, and when it is gone.

use std::collections::HashSet;

use crate::config::{Effect, Subject};
use crate::runtime::problem::ConfigProblem;
use crate::runtime::snapshot::Snapshot;

/// Logs what `next` has and the configuration before has not, and the other way round.
pub(super) fn log(next: &Snapshot, before: &[ConfigProblem]) {
    let parts = |problem: &'_ ConfigProblem| (problem.subject.clone(), problem.effect, problem.error.clone());
    let known: HashSet<_> = before.iter().map(parts).collect();
    for problem in next.problems.iter().filter(|problem| !known.contains(&parts(problem))) {
        log_problem(problem);
    }
    let now: HashSet<_> = next.problems.iter().map(|problem| &problem.subject).collect();
    for gone in before.iter().filter(|gone| !now.contains(&gone.subject)) {
        log_end(&gone.subject);
    }
}

fn log_end(subject: &Subject) {
    match subject {
        Subject::Service(name) => {
            tracing::info!(sidekey.service = name, "service has no mistake any more");
        }
        Subject::File(file) => tracing::info!(config.file = file, "file has no mistake any more"),
    }
}

fn log_problem(problem: &ConfigProblem) {
    let error = &problem.error;
    match (&problem.subject, problem.effect) {
        (Subject::Service(name), Effect::HeldBack) => {
            tracing::error!(sidekey.service = name, "service is misconfigured and held back: {error}");
        }
        (Subject::Service(name), Effect::PreviousSettings) => tracing::error!(
            sidekey.service = name,
            "service is misconfigured and runs with its previous settings: {error}"
        ),
        (Subject::File(file), Effect::HeldBack) => {
            tracing::error!(config.file = file, "file has a mistake, what has it is held back: {error}");
        }
        (Subject::File(file), Effect::PreviousSettings) => tracing::error!(
            config.file = file,
            "file cannot be read, its services run with their previous settings: {error}"
        ),
    }
}
