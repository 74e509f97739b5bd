//! The mistakes in the configuration in use.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::config;
use crate::config::{Effect, Subject};

/// A mistake in a service or in an included file, which the configuration in use is without.
#[derive(Debug, Clone)]
pub struct ConfigProblem {
    /// What has the mistake.
    pub subject: Subject,
    /// What follows from it.
    pub effect: Effect,
    /// Every error, one on each line, with file and line; no secret.
    pub error: String,
    /// When it was first seen.
    pub since: SystemTime,
}

impl ConfigProblem {
    /// The problems of a configuration. One that the configuration before has already keeps its time.
    pub fn of(problems: &[config::Problem], before: &[Self]) -> Box<[Self]> {
        let now = SystemTime::now();
        let known: HashMap<_, _> = before.iter().map(|known| (&known.subject, known.since)).collect();
        let problem = |problem: &config::Problem| Self {
            subject: problem.subject.clone(),
            effect: problem.effect,
            error: problem.to_string(),
            since: known.get(&problem.subject).copied().unwrap_or(now),
        };
        problems.iter().map(problem).collect()
    }

    /// The name of the service that has the mistake.
    pub fn service(&self) -> Option<&str> {
        match &self.subject {
            Subject::Service(name) => Some(name),
            Subject::File(_) => None,
        }
    }
}
