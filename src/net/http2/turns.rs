//! The turns of streams that wait: for the window of the connection, or for frames to be written.
//!
//! If several streams wait, each sends one frame in a turn, and those that had no room in a turn come first in the next one. So
//! no stream keeps the connection for itself.

use std::collections::VecDeque;
use std::task::Context;

use super::slot::Slot;

/// The streams that wait.
#[derive(Default)]
pub(super) struct Turns {
    /// Slots that have not sent in this turn.
    waiting: VecDeque<usize>,
    /// Slots that have.
    served: VecDeque<usize>,
    number: u64,
    /// Whether several streams waited for this turn.
    is_contended: bool,
}

impl Turns {
    /// Begins a turn: streams that can go on are woken, those first that did not send in the last turn. `has_window`: the window of
    /// the connection is open.
    pub(super) fn begin(&mut self, slots: &mut [Slot], has_window: bool) {
        // The first turn has the number 1, in which no new stream has sent.
        self.number += 1;
        self.waiting.append(&mut self.served);
        let count = self.waiting.len();
        self.is_contended = count > 1;
        for _ in 0..count {
            let Some(index) = self.waiting.pop_front() else { break };
            let Some(slot) = slots.get_mut(index) else { continue };
            if slot.turn.needs_window && !has_window {
                self.waiting.push_back(index);
                continue;
            }
            slot.turn.is_waiting = false;
            slot.wake_writer();
        }
    }

    /// Whether a stream waits that could go on.
    pub(super) fn is_due(&self, slots: &[Slot], has_window: bool) -> bool {
        let is_able =
            |index: &usize| slots.get(*index).is_some_and(|slot| has_window || !slot.turn.needs_window);
        self.waiting.iter().chain(&self.served).any(is_able)
    }

    /// Whether a stream has sent all that it may send in this turn.
    pub(super) fn is_over(&self, slot: &Slot) -> bool {
        self.is_contended && slot.turn.sent_in == self.number
    }

    /// Notes that a stream sends.
    pub(super) fn sent(&self, slot: &mut Slot) {
        slot.turn.sent_in = self.number;
    }

    /// Waits for the next turn in which the stream can go on.
    pub(super) fn wait(&mut self, index: usize, slot: &mut Slot, cx: &Context<'_>, needs_window: bool) {
        slot.wait_to_write(cx);
        slot.turn.needs_window = needs_window;
        if !std::mem::replace(&mut slot.turn.is_waiting, true) {
            let has_sent = slot.turn.sent_in == self.number;
            let queue = if has_sent { &mut self.served } else { &mut self.waiting };
            queue.push_back(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// The streams that wait send as long as two of them have room in a turn; returns those that sent in each turn.
    fn sent_in_turns(turns: &mut Turns, slots: &mut [Slot], count: usize) -> Vec<Vec<usize>> {
        let cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        for _ in 0..count {
            let order: Vec<_> = turns.waiting.iter().chain(&turns.served).copied().collect();
            turns.begin(slots, true);
            let mut sent = Vec::new();
            for index in order {
                if sent.len() < 2 && !turns.is_over(&slots[index]) {
                    turns.sent(&mut slots[index]);
                    sent.push(index);
                }
                turns.wait(index, &mut slots[index], &cx, false);
            }
            all.push(sent);
        }
        all
    }

    #[test]
    fn streams_that_had_no_room_come_first() {
        let mut slots: Vec<_> = (0..5).map(|_| Slot::default()).collect();
        let mut turns = Turns::default();
        let cx = Context::from_waker(Waker::noop());
        for (index, slot) in slots.iter_mut().enumerate() {
            turns.wait(index, slot, &cx, false);
        }
        let sent = sent_in_turns(&mut turns, &mut slots, 5);
        assert_eq!(sent, [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]);
    }

    #[test]
    fn stream_that_needs_the_window_waits_for_it() {
        let mut slots = [Slot::default(), Slot::default()];
        let mut turns = Turns::default();
        let cx = Context::from_waker(Waker::noop());
        turns.wait(0, &mut slots[0], &cx, true);
        assert!(!turns.is_due(&slots, false) && turns.is_due(&slots, true));
        turns.begin(&mut slots, false);
        assert!(slots[0].turn.is_waiting);
        turns.wait(1, &mut slots[1], &cx, false);
        assert!(turns.is_due(&slots, false));
        turns.begin(&mut slots, false);
        assert_eq!([slots[0].turn.is_waiting, slots[1].turn.is_waiting], [true, false]);
        turns.begin(&mut slots, true);
        assert!(!slots[0].turn.is_waiting && !turns.is_due(&slots, true));
    }
}
