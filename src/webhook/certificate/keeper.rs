//! The task that makes a certificate, shares it with the other replicas, and has the API server trust it.
//!
//! Each replica runs one. They do not elect a leader: what they write, they write only if it is as they read
//! it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::checked::{Checked, Unusable};
use super::issued::{Pair, issue};
use super::plan::{Step, Usable};
use super::serving::Serving;
use super::stored::Stored;
use super::trusted::Trusted;
use crate::metrics::WebhookMetrics;
use crate::webhook::cluster::{ApiError, Objects};
use crate::webhook::own_objects::OwnObjects;
use crate::webhook::readiness::Readiness;

/// The longest time between two turns.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest.
const MIN_INTERVAL: Duration = Duration::from_millis(200);
/// Time that the API servers of a cluster have to learn of a new CA, for certificates that are valid for
/// weeks.
const MAX_SETTLING_TIME: Duration = Duration::from_secs(5 * 60);
/// The longest time before a turn in which another replica was faster is repeated.
const MAX_CONFLICT_WAIT: Duration = Duration::from_millis(500);

/// Number of conflicts in a row that are no failure. Replicas are few.
const MAX_CONFLICTS: u32 = 10;

/// Keeps the certificate.
pub(in crate::webhook) struct Keeper<O> {
    pub(in crate::webhook) objects: Arc<O>,
    pub(in crate::webhook) names: OwnObjects,
    /// Time for which a certificate is valid.
    pub(in crate::webhook) lifetime: Duration,
    pub(in crate::webhook) clock: fn() -> SystemTime,
    pub(in crate::webhook) serving: Arc<Serving>,
    pub(in crate::webhook) readiness: Arc<Readiness>,
    pub(in crate::webhook) metrics: WebhookMetrics,
    /// The certificate that is presented.
    pub(in crate::webhook) presented: Option<String>,
    /// The next certificate, and since when the API server has been told to trust its CA.
    pub(in crate::webhook) trusted_since: Option<(String, Instant)>,
}

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("a certificate cannot be made: {0}")]
    Generation(#[from] rcgen::Error),
    #[error("the certificate in {0} cannot be used: {1}")]
    Unusable(String, Unusable),
    #[error("{0} has no webhook with the service {1}/{2}")]
    NoEntry(String, String, String),
}

impl<O: Objects> Keeper<O> {
    /// Takes a turn after another, for as long as the process runs.
    pub(in crate::webhook) async fn run(mut self) {
        let (mut failures, mut conflicts) = (0_u32, 0_u32);
        loop {
            let wait = match self.turn().await {
                Ok(()) => {
                    self.metrics.certificate_checked(true);
                    (failures, conflicts) = (0, 0);
                    self.interval()
                }
                Err(TurnError::Api(error @ ApiError::Conflict { .. })) if conflicts < MAX_CONFLICTS => {
                    conflicts += 1;
                    tracing::debug!("{error}");
                    MAX_CONFLICT_WAIT.mul_f64(fastrand::f64())
                }
                Err(error) => {
                    self.metrics.certificate_checked(false);
                    tracing::warn!(error = %error, "the webhook's certificate cannot be kept up to date");
                    failures = failures.saturating_add(1);
                    (MIN_INTERVAL * 2_u32.saturating_pow(failures))
                        .min(self.interval().max(MIN_INTERVAL * 10))
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Time from one turn to the next.
    fn interval(&self) -> Duration {
        (self.lifetime / 1000).clamp(MIN_INTERVAL, MAX_INTERVAL)
    }

    /// Time from when the configuration has the CA of the next certificate until that certificate is in use.
    fn settling_time(&self) -> Duration {
        (self.lifetime / 20).min(MAX_SETTLING_TIME)
    }

    /// Reads what is shared, takes the next step, presents the certificate, and has its CA trusted.
    pub(super) async fn turn(&mut self) -> Result<(), TurnError> {
        // Read before the Secret. If another replica writes both in between, the patch below is a conflict,
        // and does not remove a CA that this replica has not seen.
        let configuration = self.objects.configuration().await;
        let stored = self.next_step().await?;
        self.present(&stored)?;
        self.have_trusted(&configuration?, &stored).await
    }

    /// The content of the Secret, after the step that is due.
    async fn next_step(&self) -> Result<Stored, TurnError> {
        let mut secret = self.objects.secret().await?.unwrap_or_else(|| new_secret(&self.names));
        let mut stored = Stored::read(&secret);
        let (now, name) = ((self.clock)(), self.names.dns_name());
        let step = Usable::of(&stored, &name, now).step(now, self.lifetime, self.is_next_trusted(&stored));
        match step {
            Step::Keep => return Ok(stored),
            Step::Promote => stored.current = stored.next.take(),
            Step::Replace | Step::Prepare => {
                let issued = issue(&name, now, self.lifetime)?;
                stored.trusted.add(issued.ca);
                let (current, next) = match step {
                    Step::Replace => (Some(issued.pair), None),
                    _ => (stored.current.take(), Some(issued.pair)),
                };
                (stored.current, stored.next) = (current, next);
            }
        }
        stored.trusted.remove_expired(now);
        stored.write(&mut secret);
        self.objects.write_secret(&secret).await?;
        let done = match step {
            Step::Replace => "made: there was none that could be used",
            Step::Prepare => "the next one made",
            _ => "replaced by the next one",
        };
        tracing::info!(k8s.secret.name = %self.names.secret, "the webhook's certificate: {done}");
        Ok(stored)
    }

    /// Whether the CA of the next certificate has been trusted for some time.
    fn is_next_trusted(&self, stored: &Stored) -> bool {
        let next = stored.next.as_ref().map(|next| &next.certificate);
        self.trusted_since.as_ref().is_some_and(|(certificate, since)| {
            next == Some(certificate) && since.elapsed() >= self.settling_time()
        })
    }

    /// Presents the current certificate, if it is another one.
    fn present(&mut self, stored: &Stored) -> Result<(), TurnError> {
        let Some(current) = &stored.current else { return Ok(()) };
        if self.presented.as_ref() == Some(&current.certificate) {
            return Ok(());
        }
        let checked = Checked::new(current, &stored.trusted, &self.names.dns_name(), (self.clock)())
            .map_err(|why| TurnError::Unusable(self.names.secret_text(), why))?;
        self.serving.present(checked.tls, Some(checked.end));
        self.presented = Some(current.certificate.clone());
        Ok(())
    }

    /// Writes the CAs into the configuration of the API server, if it has others.
    async fn have_trusted(&mut self, configuration: &Value, stored: &Stored) -> Result<(), TurnError> {
        let entries = own_entries(configuration, &self.names);
        if entries.is_empty() {
            let OwnObjects { namespace, service, .. } = &self.names;
            let what = self.names.configuration_text();
            return Err(TurnError::NoEntry(what, namespace.to_string(), service.to_string()));
        }
        let outdated: Vec<_> = entries.iter().filter(|(_, bundle)| *bundle != stored.trusted).collect();
        if outdated.is_empty() {
            self.record_trust(stored.next.as_ref());
            self.readiness.certificate_is_trusted();
            return Ok(());
        }
        let bundle = STANDARD.encode(stored.trusted.pem());
        let mut operations = vec![json!({
            "op": "test", "path": "/metadata/resourceVersion", "value": configuration["metadata"]["resourceVersion"],
        })];
        operations.extend(outdated.iter().map(|(index, _)| {
            json!({ "op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"), "value": bundle })
        }));
        self.objects.patch_configuration(&operations.into()).await?;
        tracing::info!(
            k8s.mutatingwebhookconfiguration.name = %self.names.configuration,
            "the API server is told to trust the webhook's certificate"
        );
        self.record_trust(stored.next.as_ref());
        self.readiness.certificate_is_trusted();
        Ok(())
    }

    /// Records that the configuration has the CA of the next certificate.
    fn record_trust(&mut self, next: Option<&Pair>) {
        let known = self.trusted_since.as_ref().map(|(certificate, _)| certificate);
        if known != next.map(|next| &next.certificate) {
            self.trusted_since = next.map(|next| (next.certificate.clone(), Instant::now()));
        }
    }
}

/// The object of a Secret that does not exist yet.
fn new_secret(names: &OwnObjects) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": names.secret.to_string(), "namespace": names.namespace.to_string() },
        "type": "Opaque",
    })
}

/// The webhooks of a configuration that call the service of this one: index, and the CAs that are trusted for
/// it.
fn own_entries(configuration: &Value, names: &OwnObjects) -> Vec<(usize, Trusted)> {
    let entries = configuration["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = entries.iter().enumerate().filter(|(_, entry)| {
        let service = &entry["clientConfig"]["service"];
        service["name"] == *names.service.to_string() && service["namespace"] == *names.namespace.to_string()
    });
    own.map(|(index, entry)| {
        let bundle = entry["clientConfig"]["caBundle"].as_str().and_then(|text| STANDARD.decode(text).ok());
        (index, bundle.map(|pem| Trusted::read(&pem)).unwrap_or_default())
    })
    .collect()
}
