//! The last minutes of each service's traffic, for the sparklines, and the status of the upstream by its last requests.
//!
//! A task on the control thread samples the counters every few seconds, so that requests do no work for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::metrics::{RequestTotals, UPSTREAM_REASONS};
use crate::runtime::snapshot::Runtime;

/// The time between two samples.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// The number of samples kept: ten minutes.
const MAX_SAMPLES: usize = 120;
/// The minimum number of requests that decide the status of an upstream, if there were that many.
const MIN_SAMPLE_REQUESTS: u64 = 10;
/// The number of samples that the request rate is computed from: a minute.
const RATE_SAMPLES: usize = 12;

/// The traffic between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) requests: u64,
    /// Responses 5xx, and responses 401 of the upstream.
    pub(super) errors: u64,
    unauthorized: u64,
    /// Responses 5xx of the upstream itself.
    upstream_errors: u64,
    unreachable: [u64; UPSTREAM_REASONS.len()],
    /// The mean latency; `None` if there was no request.
    pub(super) latency: Option<Duration>,
}

impl Sample {
    fn between(before: &RequestTotals, after: &RequestTotals) -> Self {
        let less = |a: u64, b: u64| a.saturating_sub(b);
        let requests = less(after.classes.iter().sum(), before.classes.iter().sum());
        let unauthorized = less(after.unauthorized, before.unauthorized);
        let count = less(after.durations, before.durations);
        #[expect(clippy::cast_precision_loss, reason = "a mean of a few seconds of traffic")]
        let latency = (count > 0).then(|| (after.duration_seconds - before.duration_seconds) / count as f64);
        Self {
            requests,
            errors: less(after.classes[4], before.classes[4]) + unauthorized,
            unauthorized,
            upstream_errors: less(
                less(after.classes[4], before.classes[4]),
                less(after.own_errors, before.own_errors),
            ),
            unreachable: std::array::from_fn(|reason| {
                less(after.unreachable[reason], before.unreachable[reason])
            }),
            latency: latency.and_then(|mean| Duration::try_from_secs_f64(mean).ok()),
        }
    }
}

/// The status of an upstream, as its last requests show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpstreamStatus {
    /// There were no requests, or most of them succeeded.
    Healthy,
    /// The upstream answered 401 to most of them.
    Unauthorized,
    /// Most did not reach the upstream. Holds the most frequent reason, one of [`UPSTREAM_REASONS`].
    Unreachable(&'static str),
    /// The upstream answered 5xx to most of them.
    Failing,
}

/// The last minutes of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    last: Option<RequestTotals>,
    samples: VecDeque<Sample>,
}

impl History {
    fn sample(&mut self, totals: RequestTotals) {
        if let Some(last) = &self.last {
            self.samples.push_back(Sample::between(last, &totals));
        }
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.last = Some(totals);
    }

    /// The samples, oldest first, from the first one that has a request.
    pub(super) fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> {
        let first = self.samples.iter().position(|sample| sample.requests > 0).unwrap_or(self.samples.len());
        self.samples.range(first..)
    }

    /// The requests per second over the last minute, or since the first sample.
    pub(super) fn rate(&self) -> f64 {
        let recent = self.samples.iter().rev().take(RATE_SAMPLES);
        let seconds =
            SAMPLE_INTERVAL.as_secs_f64() * f64::from(u8::try_from(recent.len()).unwrap_or(u8::MAX));
        let requests: u64 = recent.map(|sample| sample.requests).sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = requests as f64 / seconds.max(SAMPLE_INTERVAL.as_secs_f64());
        rate
    }

    /// The status of the upstream. Decided by the newest sample that has requests, and by enough samples before it that a single
    /// failure among many requests does not count.
    pub(super) fn upstream_status(&self, now: &RequestTotals) -> UpstreamStatus {
        let since = Sample::between(self.last.as_ref().unwrap_or(&RequestTotals::default()), now);
        let mut newest_first =
            std::iter::once(&since).chain(self.samples.iter().rev()).filter(|sample| sample.requests > 0);
        let Some(newest) = newest_first.next() else { return UpstreamStatus::Healthy };
        let mut judged = *newest;
        for sample in newest_first {
            if judged.requests >= MIN_SAMPLE_REQUESTS {
                break;
            }
            judged.requests += sample.requests;
            judged.unauthorized += sample.unauthorized;
            judged.upstream_errors += sample.upstream_errors;
            for (sum, more) in judged.unreachable.iter_mut().zip(sample.unreachable) {
                *sum += more;
            }
        }
        let most = |part: fn(&Sample) -> u64| {
            [newest, &judged].iter().all(|sample| part(sample) * 2 > sample.requests)
        };
        if most(|sample| sample.unreachable.iter().sum()) {
            let reasons = judged.unreachable.iter().zip(UPSTREAM_REASONS);
            let worst = reasons.max_by_key(|(count, _)| **count);
            return UpstreamStatus::Unreachable(worst.map_or(UPSTREAM_REASONS[0], |(_, reason)| reason));
        }
        if most(|sample| sample.unauthorized) {
            UpstreamStatus::Unauthorized
        } else if most(|sample| sample.upstream_errors) {
            UpstreamStatus::Failing
        } else {
            UpstreamStatus::Healthy
        }
    }
}

/// The histories of all services, by name.
#[derive(Default)]
pub(super) struct Histories(Mutex<HashMap<String, History>>);

impl Histories {
    /// The history of one service, which is empty if the service is new.
    pub(super) fn of(&self, service: &str) -> History {
        self.0.lock().get(service).cloned().unwrap_or_default()
    }

    /// Takes samples until the task is aborted.
    pub(super) async fn run(self: Arc<Self>, runtime: Arc<Runtime>) {
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let services = &runtime.current().services;
            let mut histories = self.0.lock();
            let names: HashSet<_> = services.iter().map(|service| &service.name).collect();
            histories.retain(|name, _| names.contains(name));
            for service in services {
                if let Some(history) = histories.get_mut(&service.name) {
                    history.sample(service.metrics.totals());
                } else {
                    let mut history = History::default();
                    history.sample(service.metrics.totals());
                    histories.insert(service.name.clone(), history);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(totals: &mut RequestTotals, good: u64, unauthorized: u64, connect: u64) {
        totals.classes[1] += good;
        totals.classes[3] += unauthorized;
        totals.unauthorized += unauthorized;
        totals.classes[4] += connect;
        totals.unreachable[0] += connect;
        totals.own_errors += connect;
        totals.durations += good + unauthorized + connect;
        totals.duration_seconds += 0.002 * f64::from(u32::try_from(good + unauthorized + connect).unwrap());
    }

    #[test]
    fn history_keeps_a_fixed_number_of_samples() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        history.sample(totals);
        assert_eq!(history.samples().len(), 0, "a first look has nothing to compare with");
        for _ in 0..MAX_SAMPLES * 2 {
            add(&mut totals, 3, 1, 1);
            history.sample(totals);
        }
        assert_eq!(history.samples().len(), MAX_SAMPLES);
        for sample in history.samples() {
            assert_eq!((sample.requests, sample.errors), (5, 2));
            assert_eq!(sample.latency.map(|latency| latency.as_micros()), Some(2000));
        }
        assert!((history.rate() - 1.0).abs() < 1e-9, "{}", history.rate());
        history.sample(totals);
        assert_eq!(history.samples().last(), Some(&Sample::default()));
    }

    #[test]
    fn upstream_status_follows_the_last_requests() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        history.sample(totals);
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Healthy, "no request, nothing wrong");
        add(&mut totals, 0, 1, 0);
        assert_eq!(
            history.upstream_status(&totals),
            UpstreamStatus::Unauthorized,
            "before the next sample is taken"
        );
        history.sample(totals);
        for _ in 0..20 {
            history.sample(totals);
        }
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Unauthorized, "silence changes nothing");
        add(&mut totals, 1, 0, 0);
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Healthy, "the newest went well");
        add(&mut totals, 100, 0, 0);
        history.sample(totals);
        add(&mut totals, 0, 0, 1);
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Healthy, "one failure among many");
        history.sample(totals);
        add(&mut totals, 0, 0, 200);
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Unreachable("upstream_connect"));
    }

    #[test]
    fn upstream_that_answers_errors_only_is_failing() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        history.sample(totals);
        totals.classes[4] += 3;
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Failing);
        add(&mut totals, 0, 0, 4);
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Unreachable("upstream_connect"));
        add(&mut totals, 100, 0, 0);
        assert_eq!(history.upstream_status(&totals), UpstreamStatus::Healthy);
    }

    #[test]
    fn samples_begin_with_the_first_request() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        for _ in 0..5 {
            history.sample(totals);
        }
        assert_eq!(history.samples().len(), 0, "a service without traffic does not change");
        add(&mut totals, 1, 0, 0);
        history.sample(totals);
        history.sample(totals);
        assert_eq!(history.samples().map(|sample| sample.requests).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn reset_counters_give_an_empty_sample() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        add(&mut totals, 100, 0, 0);
        history.sample(totals);
        history.sample(RequestTotals::default());
        assert_eq!(history.samples.back().unwrap().requests, 0);
    }
}
