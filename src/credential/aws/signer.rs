//! Signs requests with the keys of an AWS identity.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue, header};

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::clock::ClockCorrection;
use super::encode;
use super::keys::AwsKeys;
use super::path::{PathRule, is_s3};
use super::payload::{PayloadContext, PayloadRule};
use super::signature::{Signing, SigningKey, scope};
use super::time::{Timestamp, unix_seconds};
use crate::credential::owned::AUTHORIZATION;
use crate::credential::{
    BodyNeed, CredentialVersion, Injection, NotReady, OutboundRequest, Owned, PendingBody, Signer,
    UpstreamResponse, Verdict, sensitive,
};
use crate::secret::Echoes;

const DATE: &str = "X-Amz-Date";
const TOKEN: &str = "X-Amz-Security-Token";
const CONTENT_HASH: &str = "X-Amz-Content-Sha256";

/// The query parameters of a signature. A caller's are removed.
const PARAMETERS: [&str; 9] = [
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Region-Set",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// How long a signature in the query is valid, in seconds. It is used at once.
const QUERY_VALIDITY: u64 = 300;

/// What signatures are for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct SigningScope {
    /// The service, as in the scope of a signature: `s3`, `execute-api`.
    pub(in crate::credential) service: String,
    pub(in crate::credential) region: String,
    /// Which bodies are signed.
    pub(in crate::credential) payload: PayloadRule,
    /// Whether the signature goes into the query.
    pub(in crate::credential) is_in_query: bool,
}

/// A signer for one service and region.
pub(in crate::credential) struct AwsSigner {
    /// The name of the configured service, for the log.
    name: String,
    scope: SigningScope,
    path_rule: PathRule,
    payload: PayloadContext,
    keys: AwsKeys,
    clock: ClockCorrection,
    /// The key of the last day that was signed for.
    day: ArcSwapOption<DayKey>,
    owned: Arc<Owned>,
}

struct DayKey {
    date: String,
    key: SigningKey,
}

impl AwsSigner {
    /// A signer for the configured service `name`.
    pub(in crate::credential) fn new(name: &str, scope: SigningScope, keys: AwsKeys) -> Self {
        let headers = [DATE, TOKEN, CONTENT_HASH, "X-Amz-Region-Set"];
        let headers =
            headers.map(|name| HeaderName::from_bytes(name.as_bytes()).expect("these are names of fields"));
        let owned = headers.into_iter().fold(Owned::authorization(), Owned::with_header);
        let owned = PARAMETERS.into_iter().fold(owned, Owned::with_query);
        Self {
            name: name.to_owned(),
            path_rule: PathRule::of(&scope.service),
            payload: PayloadContext {
                rule: scope.payload,
                is_s3: is_s3(&scope.service),
                is_in_query: scope.is_in_query,
            },
            scope,
            keys,
            clock: ClockCorrection::default(),
            day: ArcSwapOption::empty(),
            owned: Arc::new(owned),
        }
    }

    /// The key of a day. It is derived once a day.
    fn day_key(&self, date: &str) -> Arc<DayKey> {
        if let Some(day) = &*self.day.load()
            && day.date == date
        {
            return day.clone();
        }
        let SigningScope { region, service, .. } = &self.scope;
        let key = SigningKey::derive(self.keys.secret_access_key.expose(), date, region, service);
        let day = Arc::new(DayKey { date: date.to_owned(), key });
        self.day.store(Some(day.clone()));
        day
    }

    fn sign_at<'s>(
        &'s self,
        timestamp: &Timestamp,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<(), NotReady> {
        let fields: Vec<_> = request.fields.iter().filter(|field| is_signed(field.name)).collect();
        let payload = self.payload.text(&request.body, request.fields.all, request.origin).ok_or(NotReady)?;
        let day = self.day_key(timestamp.date());
        let scope = scope(timestamp, &self.scope.region, &self.scope.service);
        let access_key_id = self.keys.access_key_id.expose();
        let signing = Signing { access_key_id, timestamp, scope: &scope, key: &day.key };
        let path = request.full_path();
        let host = [("host", request.authority.as_bytes())];
        let callers = fields.iter().map(|field| (field.name, field.value));
        let canonical = CanonicalRequest {
            method: request.method,
            path_rule: self.path_rule,
            path: &path,
            query: request.query.as_deref().unwrap_or_default(),
            query_of_signature: &[],
            headers: &SignedHeaders::default(),
            payload: &payload,
        };
        if self.scope.is_in_query {
            let headers = SignedHeaders::new(host.into_iter().chain(callers));
            let parameters = signing.parameters(&headers, QUERY_VALIDITY);
            let mut parameters: Vec<_> =
                parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            parameters.extend(self.keys.token().map(|token| (TOKEN, token)));
            let canonical =
                CanonicalRequest { query_of_signature: &parameters, headers: &headers, ..canonical };
            let signature = signing.signature(&canonical);
            injection.query(pairs(&parameters, &signature)?);
            return Ok(());
        }
        let own = [(DATE, timestamp.as_str()), (CONTENT_HASH, &*payload)];
        let own = own.into_iter().chain(self.keys.token().map(|token| (TOKEN, token)));
        let own = own.map(|(name, value)| (name, value.as_bytes()));
        let headers = SignedHeaders::new(host.into_iter().chain(callers).chain(own));
        let authorization = signing.authorization(&CanonicalRequest { headers: &headers, ..canonical });
        injection.field(DATE, value(timestamp.as_str())?);
        injection.field(CONTENT_HASH, value(&payload)?);
        if let Some(token) = &self.keys.session_token {
            injection.field(TOKEN, token.clone());
        }
        injection.field(AUTHORIZATION, sensitive(&authorization));
        Ok(())
    }
}

/// Whether a caller's field is signed. Others may change on the way.
fn is_signed(name: &str) -> bool {
    let is = |signed: &str| name.eq_ignore_ascii_case(signed);
    is(header::CONTENT_TYPE.as_str())
        || is("content-md5")
        || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
}

fn value(text: &str) -> Result<HeaderValue, NotReady> {
    HeaderValue::from_str(text).map_err(|_| NotReady)
}

/// The parameters of a signature, encoded.
fn pairs(parameters: &[(&str, &str)], signature: &str) -> Result<HeaderValue, NotReady> {
    let mut out = Vec::new();
    for (name, value) in parameters {
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        encode::append(&mut out, value.as_bytes(), false);
        out.push(b'&');
    }
    out.extend_from_slice(b"X-Amz-Signature=");
    out.extend_from_slice(signature.as_bytes());
    let mut pairs = HeaderValue::from_bytes(&out).map_err(|_| NotReady)?;
    pairs.set_sensitive(true);
    Ok(pairs)
}

impl Signer for AwsSigner {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn body(&self, body: &PendingBody<'_>) -> BodyNeed {
        self.payload.need(body)
    }

    fn is_single_use(&self) -> bool {
        true
    }

    /// A signature with a wrong time is made again with the time of the service.
    fn is_refreshable(&self) -> bool {
        true
    }

    fn may_reject_with(&self, status: u16) -> bool {
        matches!(status, 400 | 403)
    }

    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        self.sign_at(&Timestamp::now(self.clock.seconds()), request, injection)?;
        Ok(CredentialVersion::STATIC)
    }

    fn observe(&self, _: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        if !matches!(response.status, 400 | 401 | 403) {
            return Verdict::Pass;
        }
        let Some(correction) = self.clock.learn(response.fields, unix_seconds(SystemTime::now())) else {
            return Verdict::Pass;
        };
        tracing::warn!(
            sidekey.service = self.name,
            clock.correction_s = correction,
            "the clock of this machine differs from that of the upstream, whose time is used to sign requests"
        );
        if response.is_retry { Verdict::Pass } else { Verdict::Retry }
    }

    fn mask(&self, text: &mut [u8]) -> u64 {
        self.keys.echoes.mask(text)
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        vec![self.keys.echoes.clone()]
    }
}
