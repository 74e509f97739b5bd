//! Several credentials in one request: a list in `auth`. If one of them is missing, nothing is sent.

mod parts;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use http::HeaderValue;
use httparse::Header;
use zeroize::Zeroizing;

use self::parts::Parts;
use super::{
    BodyNeed, CredentialStatus, CredentialVersion, ForwardedFields, Injection, NotReady, OutboundRequest,
    Owned, PendingBody, RewrittenRequest, Signer, UpstreamResponse, Verdict,
};
use crate::oauth2::TokenStore;
use crate::oauth2::caller_tokens::{CallerTokens, Subject};
use crate::refresh::AnyStore;
use crate::secret::Echoes;

/// The credentials of a list, in its order. The configuration has checked that no two own the same part of a request, and that
/// one at most signs it.
pub(super) struct Several {
    parts: Parts,
    /// The one that signs what else is in the request.
    signing: Option<usize>,
    owned: Arc<Owned>,
}

impl Several {
    /// A signer that adds all of these credentials. `signing` is the place of the one that signs the request.
    pub(super) fn new(parts: Vec<Box<dyn Signer>>, signing: Option<usize>) -> Self {
        let owned = parts.iter().fold(Owned::default(), |owned, part| owned.and(part.owned()));
        Self { parts: Parts(parts.into()), signing, owned: Arc::new(owned) }
    }

    /// Adds the credential at `index`.
    fn sign_part<'s>(
        &'s self,
        index: usize,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
        version: CredentialVersion,
    ) -> Result<CredentialVersion, NotReady> {
        let after = request.after.map(|after| after.part(index));
        let request = OutboundRequest { after, query: request.query.as_deref().map(Into::into), ..*request };
        Ok(version.with_part(index, self.parts.0[index].sign(&request, injection)?))
    }

    /// Adds the credential that signs what else is in the request, with the header fields of the others.
    fn sign_fields<'s>(
        &'s self,
        index: usize,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
        version: CredentialVersion,
    ) -> Result<CredentialVersion, NotReady> {
        if injection.fields.is_empty() {
            return self.sign_part(index, request, injection, version);
        }
        let added = injection.fields.clone();
        let added = added.iter().map(|(name, value)| Header { name, value: value.as_bytes() });
        let all: Vec<_> = request.fields.iter().chain(added).collect();
        // What callers sent in their place was removed before.
        let owned = Owned::default();
        let request = OutboundRequest {
            fields: ForwardedFields {
                of_caller: request.fields.of_caller,
                ..ForwardedFields::of(&all, &owned)
            },
            query: request.query.as_deref().map(Into::into),
            ..*request
        };
        self.sign_part(index, &request, injection, version)
    }
}

impl Signer for Several {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn body(&self, body: &PendingBody<'_>) -> BodyNeed {
        self.signing.map_or(BodyNeed::None, |index| self.parts.0[index].body(body))
    }

    fn rewrite(&self, head: &[u8], body: &[u8]) -> Result<RewrittenRequest, &'static str> {
        let signing = self.signing.ok_or("No credential signs the request.")?;
        self.parts.0[signing].rewrite(head, body)
    }

    fn is_single_use(&self) -> bool {
        self.parts.0.iter().any(|part| part.is_single_use())
    }

    fn is_refreshable(&self) -> bool {
        self.parts.0.iter().any(|part| part.is_refreshable())
    }

    fn may_reject_with(&self, status: u16) -> bool {
        self.parts.0.iter().any(|part| part.may_reject_with(status))
    }

    /// The credential that signs is the last one, and signs the query and the fields with what the others have put there.
    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        let mut version = CredentialVersion::STATIC;
        for index in (0..self.parts.0.len()).filter(|index| Some(*index) != self.signing) {
            version = self.sign_part(index, request, injection, version)?;
        }
        let Some(signing) = self.signing else { return Ok(version) };
        let Some(pairs) = &injection.query else {
            return self.sign_fields(signing, request, injection, version);
        };
        let query = Zeroizing::new(joined_query(request.query.as_deref(), pairs)?);
        let request = OutboundRequest { query: Some(query.as_str().into()), ..*request };
        self.sign_fields(signing, &request, injection, version)
    }

    fn refusal(&self, request: &OutboundRequest<'_>) -> Option<&'static str> {
        self.signing.and_then(|index| self.parts.0[index].refusal(request))
    }

    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        let verdicts = self.parts.0.iter().enumerate();
        let verdicts = verdicts.map(|(index, part)| part.observe(used.part(index), response));
        verdicts.fold(Verdict::Pass, |all, verdict| match (all, verdict) {
            // The response gave what one of them is signed with, so that the others need not be the reason.
            (Verdict::Again, _) | (_, Verdict::Again) => Verdict::Again,
            (Verdict::Refresh, _) | (_, Verdict::Refresh) => Verdict::Refresh,
            (Verdict::Retry, _) | (_, Verdict::Retry) => Verdict::Retry,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        })
    }

    fn mask(&self, text: &mut [u8]) -> u64 {
        self.parts.0.iter().map(|part| part.mask(text)).sum()
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        self.parts.0.iter().flat_map(|part| part.echoes()).collect()
    }

    /// Renews all that can be renewed: a rejection does not say which one was rejected.
    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        subject: Option<&'a Subject>,
        limit: Duration,
    ) -> BoxFuture<'a, bool> {
        let parts = self.parts.0.iter().enumerate().filter(|(_, part)| part.is_refreshable());
        let refreshed: Vec<_> =
            parts.map(|(index, part)| part.refreshed(used.part(index), subject, limit)).collect();
        Box::pin(async move { join_all(refreshed).await.contains(&true) })
    }

    fn wait_until_ready(&self, limit: Duration) -> BoxFuture<'_, ()> {
        let all = join_all(self.parts.0.iter().map(|part| part.wait_until_ready(limit)));
        Box::pin(async move {
            all.await;
        })
    }

    fn status(&self) -> CredentialStatus {
        let all = self.parts.0.iter().map(|part| part.status());
        all.fold(CredentialStatus::READY, |all, part| CredentialStatus {
            is_ready: all.is_ready && part.is_ready,
            retry_after: if part.is_ready { all.retry_after } else { all.retry_after.max(part.retry_after) },
            is_previous_in_use: all.is_previous_in_use.or(part.is_previous_in_use),
        })
    }

    fn caller_tokens(&self) -> Option<&Arc<CallerTokens>> {
        self.parts.0.iter().find_map(|part| part.caller_tokens())
    }

    fn store(&self) -> Option<&dyn AnyStore> {
        self.parts.store()
    }

    fn stores(&self) -> Vec<(usize, &dyn AnyStore)> {
        let stores = self.parts.0.iter().enumerate();
        stores.filter_map(|(place, part)| Some((place, part.store()?))).collect()
    }

    fn token_store(&self) -> Option<&Arc<TokenStore>> {
        self.parts.0.iter().find_map(|part| part.token_store())
    }
}

/// The query of a request with the parameters of credentials after it, as it is written.
fn joined_query(query: Option<&str>, pairs: &HeaderValue) -> Result<String, NotReady> {
    let pairs = pairs.to_str().map_err(|_| NotReady)?;
    Ok(match query {
        None | Some("") => pairs.to_owned(),
        Some(query) => format!("{query}&{pairs}"),
    })
}

#[cfg(test)]
mod tests;
