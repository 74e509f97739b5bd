//! A few minutes of each service's traffic, for the sparklines, and what the last requests say of the upstream.
//!
//! Taken from the counters every few seconds by a task of the control thread: a request pays nothing for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::metrics::{RequestTotals, UPSTREAM_REASONS};
use crate::runtime::snapshot::Runtime;

/// Time between two samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// Samples kept: ten minutes.
const SAMPLES: usize = 120;
/// The last requests are judged by: this many at least, where there were so many.
const JUDGED: u64 = 10;
/// Samples that the request rate is taken over: a minute.
const RATE: usize = 12;

/// What happened between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) requests: u64,
    /// Answered 5xx, or 401 by the upstream.
    pub(super) errors: u64,
    unauthorized: u64,
    unreachable: [u64; UPSTREAM_REASONS.len()],
    /// Mean; `None` without a request.
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
            unreachable: std::array::from_fn(|reason| {
                less(after.unreachable[reason], before.unreachable[reason])
            }),
            latency: latency.and_then(|mean| Duration::try_from_secs_f64(mean).ok()),
        }
    }
}

/// What the last requests say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There were none, or most of them went well.
    Fine,
    /// Most were answered 401 by the upstream.
    Rejected,
    /// Most did not reach the upstream: the most frequent reason, one of [`UPSTREAM_REASONS`].
    Unreachable(&'static str),
}

/// One service's last minutes.
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
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
        self.last = Some(totals);
    }

    /// Whole samples, the oldest first.
    pub(super) fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> {
        self.samples.iter()
    }

    /// Requests a second over the last minute, or as much of it as there is.
    pub(super) fn rate(&self) -> f64 {
        let recent = self.samples.iter().rev().take(RATE);
        let seconds = INTERVAL.as_secs_f64() * f64::from(u8::try_from(recent.len()).unwrap_or(u8::MAX));
        let requests: u64 = recent.map(|sample| sample.requests).sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = requests as f64 / seconds.max(INTERVAL.as_secs_f64());
        rate
    }

    /// Judged by the newest sample that has requests, and by enough before it that one failure among many is none.
    pub(super) fn verdict(&self, now: &RequestTotals) -> Verdict {
        let since = Sample::between(self.last.as_ref().unwrap_or(&RequestTotals::default()), now);
        let mut newest_first =
            std::iter::once(&since).chain(self.samples.iter().rev()).filter(|sample| sample.requests > 0);
        let Some(newest) = newest_first.next() else { return Verdict::Fine };
        let mut judged = *newest;
        for sample in newest_first {
            if judged.requests >= JUDGED {
                break;
            }
            judged.requests += sample.requests;
            judged.unauthorized += sample.unauthorized;
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
            return Verdict::Unreachable(worst.map_or(UPSTREAM_REASONS[0], |(_, reason)| reason));
        }
        if most(|sample| sample.unauthorized) { Verdict::Rejected } else { Verdict::Fine }
    }
}

/// The histories of all services, by name.
#[derive(Default)]
pub(super) struct Histories(Mutex<HashMap<String, History>>);

impl Histories {
    /// That of one service; an empty one where it is new.
    pub(super) fn of(&self, service: &str) -> History {
        self.0.lock().get(service).cloned().unwrap_or_default()
    }

    /// Takes samples for ever.
    pub(super) async fn run(self: Arc<Self>, runtime: Arc<Runtime>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let services = &runtime.current().services;
            let mut histories = self.0.lock();
            histories.retain(|name, _| services.iter().any(|service| service.name == *name));
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
        totals.durations += good + unauthorized + connect;
        totals.duration_seconds += 0.002 * f64::from(u32::try_from(good + unauthorized + connect).unwrap());
    }

    #[test]
    fn keeps_a_fixed_number_of_differences() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        history.sample(totals);
        assert_eq!(history.samples().len(), 0, "a first look has nothing to compare with");
        for _ in 0..SAMPLES * 2 {
            add(&mut totals, 3, 1, 1);
            history.sample(totals);
        }
        assert_eq!(history.samples().len(), SAMPLES);
        for sample in history.samples() {
            assert_eq!((sample.requests, sample.errors), (5, 2));
            assert_eq!(sample.latency.map(|latency| latency.as_micros()), Some(2000));
        }
        assert!((history.rate() - 1.0).abs() < 1e-9, "{}", history.rate());
        history.sample(totals);
        assert_eq!(history.samples().last(), Some(&Sample::default()));
    }

    #[test]
    fn judges_by_the_last_requests() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        history.sample(totals);
        assert_eq!(history.verdict(&totals), Verdict::Fine, "no request, nothing wrong");
        add(&mut totals, 0, 1, 0);
        assert_eq!(history.verdict(&totals), Verdict::Rejected, "before the next sample is taken");
        history.sample(totals);
        for _ in 0..20 {
            history.sample(totals);
        }
        assert_eq!(history.verdict(&totals), Verdict::Rejected, "silence mends nothing");
        add(&mut totals, 1, 0, 0);
        assert_eq!(history.verdict(&totals), Verdict::Fine, "the newest went well");
        add(&mut totals, 100, 0, 0);
        history.sample(totals);
        add(&mut totals, 0, 0, 1);
        assert_eq!(history.verdict(&totals), Verdict::Fine, "one failure among many");
        history.sample(totals);
        add(&mut totals, 0, 0, 200);
        assert_eq!(history.verdict(&totals), Verdict::Unreachable("upstream_connect"));
    }

    #[test]
    fn counters_that_begin_anew_are_no_flood() {
        let (mut history, mut totals) = (History::default(), RequestTotals::default());
        add(&mut totals, 100, 0, 0);
        history.sample(totals);
        history.sample(RequestTotals::default());
        assert_eq!(history.samples().last().unwrap().requests, 0);
    }
}
