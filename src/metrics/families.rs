//! The table of families with the label `service` that count as things happen. One row is all that a new one needs: it is
//! registered, and removed with its service. What can be read from a service's state instead is a row in `service_state`.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::per_service::{Family, Given, Part, PerService};

/// Makes of each row a field, and of all rows the registration and the list for removals.
macro_rules! families {
    ($( $(#[doc = $help:literal])+ $field:ident: $vector:ident [$($label:literal),*] of $part:ident; )+) => {
        /// Every family of the table. A family's name is `sidekey_` and the name of the field; its help text is the
        /// documentation of the field.
        pub(super) struct Families {
            $( $(#[doc = $help])+ pub(super) $field: PerService<$vector>, )+
        }

        impl Families {
            /// Registers all of them.
            pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
                Ok(Self {
                    $( $field: PerService::register(
                        registry,
                        concat!("sidekey_", stringify!($field)),
                        concat!($($help),+).trim_start(),
                        &[$($label),*],
                    )?, )+
                })
            }

            /// Removes what one part of a service has in any of them, `given` among it.
            pub(super) fn remove(&self, service: &str, part: Part, given: &Given) {
                let all: &[(Part, &dyn Family)] = &[$( (Part::$part, &self.$field) ),+];
                all.iter().filter(|(of, _)| *of == part).for_each(|(_, family)| family.remove(service, given));
            }
        }
    };
}

families! {
    /// Requests answered, by method and class of the status code that the caller got.
    requests_total: IntCounterVec ["method", "status_class"] of Requests;
    /// Time from the request's head read to the last byte of the response written.
    request_duration_seconds: HistogramVec [] of Requests;
    /// Requests currently being served.
    requests_in_flight: IntGaugeVec [] of Requests;
    /// Requests that Sidekey itself could not serve, by the reason in the Sidekey-Error header.
    request_errors_total: IntCounterVec ["reason"] of Requests;
    /// Time from the request's head written to the upstream to the response's head read from it.
    upstream_response_headers_duration_seconds: HistogramVec [] of Requests;
    /// Responses of the upstream with status 401: it rejected the credential.
    upstream_unauthorized_total: IntCounterVec [] of Requests;
    /// Requests sent to an upstream again, by reason (unauthorized: after a 401, with another credential; connection_lost: the connection closed without a response; unprocessed: the upstream said that it had not processed the request; connect: another URL, because the first could not be connected to) and result (success, unauthorized, error).
    upstream_retries_total: IntCounterVec ["reason", "result"] of Requests;
    /// Places in responses that repeated the credential, which was removed or masked.
    response_redactions_total: IntCounterVec [] of Requests;
    /// Texts of responses that could not be searched for the credential, because they were compressed (leak_guard: body).
    response_bodies_unsearched_total: IntCounterVec [] of Requests;
    /// Token requests, by result (success, failure) and reason of the failure.
    token_requests_total: IntCounterVec ["result", "reason"] of Token;
    /// Duration of one token request.
    token_request_duration_seconds: HistogramVec [] of Token;
    /// Tokens of callers that are no longer held, by reason (expired: the token or the caller's own; evicted: by a token of another caller; refused: the token endpoint does not accept the caller's token any more).
    caller_tokens_ended_total: IntCounterVec ["reason"] of Token;
    /// Tokens of a fleet that this process got, by who requested them (self: this process, for all; peer: another process; alone: this process for itself, because the shared store could not be used).
    shared_tokens_total: IntCounterVec ["by"] of Token;
    /// Waits for another process of the fleet that was requesting the token.
    shared_lock_waits_total: IntCounterVec [] of Token;
    /// Tokens that were requested and not shared, because another process had shared one meanwhile.
    shared_writes_lost_total: IntCounterVec [] of Token;
    /// Writes of tokens to state.dir, by result (success, failure).
    state_writes_total: IntCounterVec ["result"] of Token;
    /// Sessions that were ended at the login server, by result (success, failure).
    logouts_total: IntCounterVec ["result"] of Token;
}
