//! Whose token request is made next: callers take turns, so that a caller with many of them delays its own alone.

use std::collections::{HashMap, VecDeque};

use super::subject::Presenter;

/// Token requests that wait, and how many run.
pub(super) struct Turns<T> {
    /// The number that may run.
    max: usize,
    waiting: HashMap<Presenter, VecDeque<T>>,
    /// The callers that have some waiting: the next one first.
    order: VecDeque<Presenter>,
    running: HashMap<Presenter, usize>,
}

impl<T> Turns<T> {
    /// None waits. `max` may run at the same time.
    pub(super) fn new(max: usize) -> Self {
        Self { max, waiting: HashMap::new(), order: VecDeque::new(), running: HashMap::new() }
    }

    /// Adds one at the end of those of its caller.
    pub(super) fn push(&mut self, caller: Presenter, request: T) {
        let waiting = self.waiting.entry(caller).or_default();
        if waiting.is_empty() {
            self.order.push_back(caller);
        }
        waiting.push_back(request);
    }

    /// The next one to make, which runs from now on; `None` if none may.
    pub(super) fn start(&mut self) -> Option<(Presenter, T)> {
        if self.running.values().sum::<usize>() >= self.max {
            return None;
        }
        let may_run =
            |caller: &Presenter| self.running.get(caller).is_none_or(|own| *own < self.max_of(*caller));
        let caller = self.order.remove(self.order.iter().position(may_run)?)?;
        let waiting = self.waiting.get_mut(&caller)?;
        let request = waiting.pop_front()?;
        if waiting.is_empty() {
            self.waiting.remove(&caller);
        } else {
            self.order.push_back(caller);
        }
        *self.running.entry(caller).or_default() += 1;
        Some((caller, request))
    }

    /// Records that one of this caller has ended.
    pub(super) fn end(&mut self, caller: Presenter) {
        if let Some(running) = self.running.get_mut(&caller) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&caller);
            }
        }
    }

    /// The number that may run for a caller: one less than all, so that another one need not wait for it.
    fn max_of(&self, caller: Presenter) -> usize {
        match caller {
            Presenter::Anybody => self.max,
            Presenter::Caller(_) => self.max.saturating_sub(1).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: Presenter = Presenter::Caller(Some(0));
    const GOOD: Presenter = Presenter::Caller(Some(1));

    #[test]
    fn callers_take_turns_and_leave_a_place_to_others() {
        let mut turns = Turns::new(3);
        (0..5).for_each(|number| turns.push(EVIL, number));
        assert_eq!([turns.start(), turns.start()], [Some((EVIL, 0)), Some((EVIL, 1))]);
        assert_eq!(turns.start(), None, "the third place is for others");
        turns.push(GOOD, 10);
        turns.push(GOOD, 11);
        assert_eq!((turns.start(), turns.start()), (Some((GOOD, 10)), None));
        turns.end(EVIL);
        assert_eq!(turns.start(), Some((EVIL, 2)), "it waits longer");
        turns.end(EVIL);
        assert_eq!(turns.start(), Some((GOOD, 11)));
        for caller in [EVIL, GOOD, GOOD] {
            turns.end(caller);
        }
        assert_eq!([turns.start(), turns.start()], [Some((EVIL, 3)), Some((EVIL, 4))]);
        assert_eq!(turns.start(), None);
        assert!(turns.waiting.is_empty() && turns.order.is_empty());
    }

    #[test]
    fn one_place_is_used_and_callers_that_nobody_knows_are_one() {
        let mut turns = Turns::new(1);
        turns.push(EVIL, 0);
        assert_eq!(turns.start(), Some((EVIL, 0)));
        let mut turns = Turns::new(2);
        turns.push(Presenter::Anybody, 0);
        turns.push(Presenter::Anybody, 1);
        assert_eq!(
            (turns.start(), turns.start()),
            (Some((Presenter::Anybody, 0)), Some((Presenter::Anybody, 1)))
        );
        turns.end(Presenter::Anybody);
        turns.end(Presenter::Anybody);
        assert!(turns.running.is_empty());
    }
}
