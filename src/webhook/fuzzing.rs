//! Access for [`fuzzing`](crate::fuzzing) to what is otherwise private.

use serde_json::Value;

use super::response::{Answer, document};
use super::review::{Malformed, Review};
use super::verdict::verdict;
use crate::inject::Settings;

/// The document that answers a request; the text of an error, if it is no review.
pub(crate) fn respond(body: &[u8], settings: &Settings) -> Result<Value, String> {
    match Review::read(body) {
        Ok(review) => {
            let verdict = verdict(&review.pod, settings);
            Ok(document(&review.uid, &verdict.answer, &verdict.warnings))
        }
        Err(Malformed::NotAPod { uid, why }) => Ok(document(&uid, &Answer::Denied(400, why), &[])),
        Err(Malformed::NoReview(why)) => Err(why),
    }
}
