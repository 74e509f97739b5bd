//! Signs requests with the keys of an AWS identity.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, header};

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::chunked;
use super::clock::ClockCorrection;
use super::credentials::AwsCredentials;
use super::encode;
use super::keys::AwsKeys;
use super::path::{PathRule, is_s3};
use super::payload::{PayloadContext, PayloadRule};
use super::signature::{Signing, SigningKey, scope};
use super::time::{Timestamp, unix_seconds};
use super::v4a::KeyPair;
use crate::credential::owned::AUTHORIZATION;
use crate::credential::{
    BodyNeed, CredentialStatus, CredentialVersion, Injection, NotReady, OutboundRequest, Owned, PendingBody,
    RewrittenRequest, Signer, UpstreamResponse, Verdict, sensitive, stored,
};
use crate::oauth2::caller_tokens::Subject;
use crate::refresh::{AnyStore, Store};
use crate::secret::Echoes;

const DATE: &str = "X-Amz-Date";
const TOKEN: &str = "X-Amz-Security-Token";
const REGION_SET: &str = "X-Amz-Region-Set";
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
    pub(in crate::credential) region: Region,
    /// Which bodies are signed.
    pub(in crate::credential) payload: PayloadRule,
    /// Whether the signature goes into the query.
    pub(in crate::credential) is_in_query: bool,
}

/// Where signatures are valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Region {
    /// One region: version 4.
    One(String),
    /// Several regions, joined by commas, with `*` for any text: version 4a.
    Set(String),
}

impl Region {
    /// The region, if it is one.
    pub(in crate::credential) fn one(&self) -> Option<&str> {
        match self {
            Self::One(region) => Some(region),
            Self::Set(_) => None,
        }
    }

    fn set(&self) -> Option<&str> {
        match self {
            Self::One(_) => None,
            Self::Set(regions) => Some(regions),
        }
    }
}

/// A signer for one service.
pub(in crate::credential) struct AwsSigner {
    /// The name of the configured service, for the log.
    name: String,
    scope: SigningScope,
    path_rule: PathRule,
    payload: PayloadContext,
    keys: Keys,
    clock: ClockCorrection,
    /// The key of the last day that was signed for.
    day: ArcSwapOption<DayKey>,
    owned: Arc<Owned>,
}

struct DayKey {
    date: String,
    /// The version of the access key.
    version: CredentialVersion,
    key: SigningKey,
}

/// Where a signer has its keys.
pub(in crate::credential) enum Keys {
    /// Here: they do not expire.
    Fixed(Box<AwsKeys>),
    /// In a store, which a refresher fills.
    Stored(Arc<Store<AwsCredentials>>),
}

impl AwsSigner {
    /// A signer for the configured service `name`.
    pub(in crate::credential) fn new(name: &str, scope: SigningScope, keys: Keys) -> Self {
        let owned = Self::owned(&scope);
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

    /// The parts of a request that belong to a signature.
    pub(in crate::credential) fn owned(scope: &SigningScope) -> Owned {
        let headers = [DATE, TOKEN, CONTENT_HASH, REGION_SET];
        let headers =
            headers.map(|name| HeaderName::from_bytes(name.as_bytes()).expect("these are names of fields"));
        let owned = headers.into_iter().fold(Owned::authorization(), Owned::with_header);
        // A URL in a response may be a presigned one, which stays as it is unless the signature goes there.
        let with_parameter: fn(Owned, &'static str) -> Owned =
            if scope.is_in_query { Owned::with_query } else { Owned::with_removed_query };
        PARAMETERS.into_iter().fold(owned, with_parameter)
    }

    /// The key of a day. It is derived once a day, and in version 4a once.
    fn day_key(
        &self,
        date: &str,
        keys: &AwsKeys,
        version: CredentialVersion,
    ) -> Result<Arc<DayKey>, NotReady> {
        let SigningScope { region, service, .. } = &self.scope;
        let date = region.one().map_or("", |_| date);
        if let Some(day) = &*self.day.load()
            && day.date == date
            && day.version == version
        {
            return Ok(day.clone());
        }
        let (id, secret) = (keys.access_key_id.expose(), keys.secret_access_key.expose());
        let key = match region {
            Region::One(region) => SigningKey::derive(secret, date, region, service),
            Region::Set(_) => SigningKey::V4a(Box::new(KeyPair::derive(id, secret).ok_or(NotReady)?)),
        };
        let day = Arc::new(DayKey { date: date.to_owned(), version, key });
        self.day.store(Some(day.clone()));
        Ok(day)
    }

    fn sign_at<'s>(
        &'s self,
        timestamp: &Timestamp,
        keys: &AwsKeys,
        version: CredentialVersion,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<(), NotReady> {
        let fields: Vec<_> = request.fields.iter().filter(|field| is_signed(field.name)).collect();
        let payload =
            self.payload.text(&request.body, request.fields.of_caller, request.origin).ok_or(NotReady)?;
        let day = self.day_key(timestamp.date(), keys, version)?;
        let scope = scope(timestamp, self.scope.region.one(), &self.scope.service);
        let access_key_id = keys.access_key_id.expose();
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
            parameters.extend(keys.token().map(|token| (TOKEN, token)));
            parameters.extend(self.scope.region.set().map(|regions| (REGION_SET, regions)));
            let canonical =
                CanonicalRequest { query_of_signature: &parameters, headers: &headers, ..canonical };
            let signature = signing.signature(&canonical).ok_or(NotReady)?;
            injection.query(pairs(&parameters, &signature)?);
            return Ok(());
        }
        let own = [(DATE, timestamp.as_str()), (CONTENT_HASH, &*payload)];
        let own = own.into_iter().chain(keys.token().map(|token| (TOKEN, token)));
        let own = own.chain(self.scope.region.set().map(|regions| (REGION_SET, regions)));
        let own = own.map(|(name, value)| (name, value.as_bytes()));
        let headers = SignedHeaders::new(host.into_iter().chain(callers).chain(own));
        let authorization = signing.authorization(&CanonicalRequest { headers: &headers, ..canonical });
        let authorization = authorization.ok_or(NotReady)?;
        injection.field(DATE, value(timestamp.as_str())?);
        injection.field(CONTENT_HASH, value(&payload)?);
        if let Some(regions) = self.scope.region.set() {
            injection.field(REGION_SET, value(regions)?);
        }
        if let Some(token) = &keys.session_token {
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

/// Whether a response names the key as the reason of a rejection. S3 does so in the body alone.
fn names_the_key(fields: &[httparse::Header<'_>]) -> bool {
    const REASONS: [&str; 5] =
        ["ExpiredToken", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClient"];
    let is_error = |name: &str| {
        name.eq_ignore_ascii_case("x-amzn-errortype") || name.eq_ignore_ascii_case("x-amz-error-code")
    };
    fields.iter().filter(|field| is_error(field.name)).any(|field| {
        let text = String::from_utf8_lossy(field.value);
        REASONS.iter().any(|reason| text.contains(reason))
    })
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

    fn rewrite(&self, head: &[u8], body: &[u8]) -> Result<RewrittenRequest, &'static str> {
        chunked::unwrap(head, body)
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
        let timestamp = Timestamp::now(self.clock.seconds());
        match &self.keys {
            Keys::Fixed(keys) => {
                self.sign_at(&timestamp, keys, CredentialVersion::STATIC, request, injection)?;
                Ok(CredentialVersion::STATIC)
            }
            Keys::Stored(store) => {
                let current = store.current().ok_or(NotReady)?;
                let current = current.as_ref().ok_or(NotReady)?;
                let version = CredentialVersion::new(current.generation);
                injection.sends(&current.keys.echoes);
                self.sign_at(&timestamp, &current.keys, version, request, injection)?;
                Ok(version)
            }
        }
    }

    fn observe(&self, _: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        if !matches!(response.status, 400 | 401 | 403) {
            return Verdict::Pass;
        }
        if let Some(correction) = self.clock.learn(response.fields, unix_seconds(SystemTime::now())) {
            tracing::warn!(
                sidekey.service = self.name,
                clock.correction_s = correction,
                "the clock of this machine differs from that of the upstream, whose time is used to sign requests"
            );
            return if response.is_retry { Verdict::Pass } else { Verdict::Retry };
        }
        let is_stored = matches!(self.keys, Keys::Stored(_));
        if is_stored && !response.is_retry && (response.status == 401 || names_the_key(response.fields)) {
            return Verdict::Refresh;
        }
        Verdict::Pass
    }

    fn mask(&self, text: &mut [u8]) -> u64 {
        match &self.keys {
            Keys::Fixed(keys) => keys.echoes.mask(text),
            Keys::Stored(_) => 0,
        }
    }

    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        _: Option<&'a Subject>,
        limit: Duration,
    ) -> BoxFuture<'a, bool> {
        match &self.keys {
            Keys::Fixed(_) => Box::pin(std::future::ready(false)),
            Keys::Stored(store) => stored::refreshed(store, used, limit),
        }
    }

    fn wait_until_ready(&self, limit: Duration) -> BoxFuture<'_, ()> {
        match &self.keys {
            Keys::Fixed(_) => Box::pin(std::future::ready(())),
            Keys::Stored(store) => Box::pin(store.wait_until_usable(limit)),
        }
    }

    fn status(&self) -> CredentialStatus {
        match &self.keys {
            Keys::Fixed(_) => CredentialStatus::READY,
            Keys::Stored(store) => stored::status(store),
        }
    }

    fn store(&self) -> Option<&dyn AnyStore> {
        match &self.keys {
            Keys::Fixed(_) => None,
            Keys::Stored(store) => Some(&**store),
        }
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        match &self.keys {
            Keys::Fixed(keys) => vec![keys.echoes.clone()],
            Keys::Stored(_) => Vec::new(),
        }
    }
}
