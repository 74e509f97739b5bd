//! The first part of a text is searched for the credential as it passes (`leak_guard: body`).
//!
//! What may be the beginning of the credential is held back until the next bytes decide. Everything else passes at once.

use std::sync::Arc;

use httparse::Header;

use super::framing::Framing;
use super::leak_guard::LeakGuard;
use super::text::{is_encoded, is_text};
use crate::secret::{Echoes, Masked};

/// The number of bytes of a body in which the credential is looked for. One that begins in them is masked whole.
const SEARCHED_BYTES: usize = 64 * 1024;

/// Masks the credential in the body of one response.
pub(crate) struct BodyGuard<'g> {
    guard: LeakGuard<'g>,
    echoes: Box<[Arc<Echoes>]>,
    /// Content that was read and not passed on.
    held: Vec<u8>,
    /// The number of bytes, from the first one that is held, in which the credential is looked for.
    remaining: usize,
}

impl<'g> BodyGuard<'g> {
    /// A guard for the body of a response with these fields; `None` if there is no body, or if it is not searched. A text that cannot
    /// be searched is counted and logged.
    pub(crate) fn of(
        guard: LeakGuard<'g>,
        echoes: Vec<Arc<Echoes>>,
        fields: &[Header<'_>],
        framing: &Framing,
    ) -> Option<Box<Self>> {
        let echoes: Box<[_]> = echoes.into_iter().filter(|echoes| !echoes.is_empty()).collect();
        if framing.is_done() || echoes.is_empty() || !is_text(fields) {
            return None;
        }
        if is_encoded(fields) {
            guard.report_unsearched();
            return None;
        }
        Some(Box::new(Self { guard, echoes, held: Vec::new(), remaining: SEARCHED_BYTES }))
    }

    /// Whether the rest of the body passes as it is.
    pub(super) fn is_done(&self) -> bool {
        self.remaining == 0 && self.held.is_empty()
    }

    /// Adds content, which [`release`](Self::release) hands out.
    pub(super) fn read(&mut self, content: &[u8]) {
        self.held.extend_from_slice(content);
    }

    /// Masks the credential in the content, and hands out what can be passed on: all of it, if it `is_last`.
    pub(super) fn release(&mut self, is_last: bool, pass: impl FnOnce(&[u8])) {
        let mut total = Masked { count: 0, pending: 0 };
        for echoes in &self.echoes {
            let Masked { count, pending } = echoes.mask_part(&mut self.held, self.remaining, is_last);
            total = Masked { count: total.count + count, pending: total.pending.max(pending) };
        }
        if total.count > 0 {
            self.guard.report_body(total.count);
        }
        let released = self.held.len() - total.pending;
        pass(&self.held[..released]);
        self.held.drain(..released);
        self.remaining = self.remaining.saturating_sub(released);
    }
}
