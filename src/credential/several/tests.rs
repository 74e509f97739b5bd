use super::*;
use crate::config::Config;
use crate::credential::{
    ConnectionFields, Credential, ForwardedFields, OutboundBody, READERS, build, write_signed_head,
};

/// The credential of a service with this `auth`.
fn credential(auth: &str) -> Credential {
    let text = format!("services: {{ a: {{ upstream: 'https://up.example.com', auth: {auth} }} }}");
    let config = Config::parse_with(&text, "a.yaml", &|_| None, READERS);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    build(&config.services[0].auth, "a", |_| None)
}

/// The head of a request with this query and these cookies, as it is sent.
fn sent(signer: &dyn Signer, query: Option<&str>, cookie: &str) -> Result<String, NotReady> {
    let fields = [
        httparse::Header { name: "Authorization", value: b"evil" },
        httparse::Header { name: "x-key", value: b"evil" },
        httparse::Header { name: "Cookie", value: cookie.as_bytes() },
    ];
    let owned = &**signer.owned();
    let request = OutboundRequest {
        method: "GET",
        origin: "https://up.example.com",
        authority: "up.example.com",
        base_path: "",
        path: "/x",
        query: query.map(|query| owned.strip_query(query)),
        fields: ForwardedFields::of(&fields, owned),
        body: OutboundBody::Empty,
        after: None,
        subject: None,
        may_probe: false,
    };
    let mut out = Vec::new();
    write_signed_head(&mut out, signer, &request, ConnectionFields::default())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn list_adds_every_credential_and_removes_what_callers_sent() {
    let credential = credential(
        "[{ type: bearer, token: one }, { type: api_key, name: X-Key, value: two }, \
         { type: api_key, in: query, name: k, value: three }, { type: api_key, in: cookie, name: sid, value: four }]",
    );
    assert_eq!(
        sent(credential.signer(), Some("a=1&k=evil"), "b=2; sid=evil").unwrap(),
        "GET /x?a=1&k=three HTTP/1.1\r\nHost: up.example.com\r\nAuthorization: Bearer one\r\nX-Key: two\r\n\
         Cookie: b=2; sid=four\r\n\r\n"
    );
}

#[test]
fn list_joins_parameters_and_cookies_of_its_credentials() {
    let credential = credential(
        "[{ type: api_key, in: query, name: k, value: 'a&b' }, { type: header, query: { l: 'c' } }, \
         { type: api_key, in: cookie, name: m, value: d }, { type: api_key, in: cookie, name: n, value: e }]",
    );
    let head = sent(credential.signer(), None, "a=1").unwrap();
    assert!(head.starts_with("GET /x?k=a%26b&l=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nCookie: a=1; m=d; n=e\r\n"), "{head}");
}

#[test]
fn signature_covers_the_query_parameter_of_another_credential() {
    let hmac = "{ type: hmac, key: k, parts: [query], header: X-Signature }";
    let key = "{ type: api_key, in: query, name: key, value: mine }";
    let signature = |auth: &str, query: Option<&str>| {
        let head = sent(credential(auth).signer(), query, "").unwrap();
        head.lines().find_map(|line| line.strip_prefix("X-Signature: ").map(str::to_owned)).unwrap()
    };
    let whole = signature(hmac, Some("a=1&key=mine"));
    for list in [format!("[{hmac}, {key}]"), format!("[{key}, {hmac}]")] {
        assert_eq!(signature(&list, Some("a=1")), whole);
        assert_eq!(signature(&list, None), signature(hmac, Some("key=mine")));
    }
}

#[test]
fn signature_covers_the_fields_of_other_credentials() {
    let signed = "{ type: http_signature, algorithm: hmac-sha256, key: k, components: ['@path', x-key, authorization], created: false }";
    let key = "{ type: api_key, name: X-Key, value: two }";
    let token = "{ type: bearer, token: one }";
    let lines = |auth: &str| {
        let head = sent(credential(auth).signer(), None, "").unwrap();
        let line = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        (line("Signature-Input: ").unwrap(), line("Signature: ").unwrap())
    };
    let list = format!("[{signed}, {key}, {token}]");
    let (input, signature) = lines(&list);
    assert!(input.contains("\"@path\" \"x-key\" \"authorization\""), "{input}");
    let base = format!(
        "\"@path\": /x\n\"x-key\": two\n\"authorization\": Bearer one\n\"@signature-params\": {}",
        &input[5..]
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"k");
    let expected =
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, ring::hmac::sign(&key, base.as_bytes()));
    assert_eq!(signature, format!("sig1=:{expected}:"));
    assert_ne!(lines(&list.replace("value: two", "value: three")).1, signature);
}

/// A credential whose state the test sets, and which records what is asked of it.
struct Scripted {
    owned: Arc<Owned>,
    version: Option<CredentialVersion>,
    verdict: Verdict,
    observed: Arc<parking_lot::Mutex<Vec<(u64, u16)>>>,
    is_renewed: bool,
}

impl Scripted {
    fn with(version: u64, verdict: Verdict) -> Self {
        let version = Some(CredentialVersion::new(version));
        Self { owned: Arc::default(), version, verdict, observed: Arc::default(), is_renewed: false }
    }
}

impl Signer for Scripted {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn is_refreshable(&self) -> bool {
        true
    }

    fn sign<'s>(
        &'s self,
        _: &OutboundRequest<'_>,
        _: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        self.version.ok_or(NotReady)
    }

    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        self.observed.lock().push((used.number(), response.status));
        self.verdict
    }

    fn mask(&self, _: &mut [u8]) -> u64 {
        1
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        vec![Arc::default()]
    }

    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        _: Option<&'a Subject>,
        _: Duration,
    ) -> BoxFuture<'a, bool> {
        self.observed.lock().push((used.number(), 0));
        Box::pin(std::future::ready(self.is_renewed))
    }

    fn status(&self) -> CredentialStatus {
        let retry_after = self.version.map_or(9, CredentialVersion::number);
        CredentialStatus { is_ready: self.version.is_some(), retry_after, is_previous_in_use: None }
    }
}

fn several(parts: impl IntoIterator<Item = Scripted>) -> Several {
    Several::new(parts.into_iter().map(|part| Box::new(part) as Box<dyn Signer>).collect(), None)
}

#[test]
fn list_sends_nothing_if_one_credential_is_missing() {
    for missing in 0..3 {
        let list = several((0..3).map(|index| {
            let part = Scripted::with(1, Verdict::Pass);
            Scripted { version: part.version.filter(|_| index != missing), ..part }
        }));
        assert_eq!(sent(&list, None, ""), Err(NotReady), "{missing}");
        assert!(!list.status().is_ready);
        assert_eq!(list.status().retry_after, 9);
    }
}

#[test]
fn response_is_observed_with_the_version_of_each_credential() {
    let seen: [Arc<parking_lot::Mutex<Vec<_>>>; 3] = Default::default();
    let parts = seen
        .iter()
        .zip([7, 8, 9])
        .map(|(seen, version)| Scripted { observed: seen.clone(), ..Scripted::with(version, Verdict::Pass) });
    let list = several(parts);
    let used = list.sign(&request(), &mut Injection::default()).unwrap();
    assert_eq!(list.observe(used, &response(403)), Verdict::Pass);
    let observed: Vec<_> = seen.iter().flat_map(|seen| seen.lock().clone()).collect();
    assert_eq!(observed, [(7, 403), (8, 403), (9, 403)]);
}

#[test]
fn verdict_of_a_list_is_the_strongest_of_its_credentials() {
    use Verdict::{Again, Pass, Refresh, Retry};
    for (verdicts, expected) in [
        ([Pass, Pass], Pass),
        ([Pass, Retry], Retry),
        ([Retry, Pass], Retry),
        ([Refresh, Retry], Refresh),
        ([Retry, Refresh], Refresh),
        ([Pass, Refresh], Refresh),
        ([Again, Refresh], Again),
        ([Retry, Again], Again),
    ] {
        let list = several(verdicts.map(|verdict| Scripted::with(1, verdict)));
        assert_eq!(list.observe(CredentialVersion::STATIC, &response(401)), expected, "{verdicts:?}");
    }
}

#[tokio::test]
async fn rejected_list_renews_every_credential_that_can_be() {
    for renewed in [[true, false], [false, true], [false, false]] {
        let parts = renewed.map(|is_renewed| Scripted { is_renewed, ..Scripted::with(5, Verdict::Refresh) });
        let asked: Vec<_> = parts.iter().map(|part| part.observed.clone()).collect();
        let list = several(parts);
        let used = list.sign(&request(), &mut Injection::default()).unwrap();
        assert_eq!(list.refreshed(used, None, Duration::ZERO).await, renewed.contains(&true));
        assert!(asked.iter().all(|asked| *asked.lock() == [(5, 0)]));
    }
}

#[test]
fn every_credential_of_a_list_is_masked() {
    let list = several([Scripted::with(1, Verdict::Pass), Scripted::with(1, Verdict::Pass)]);
    assert_eq!((list.mask(&mut []), list.echoes().len()), (2, 2));
}

fn request() -> OutboundRequest<'static> {
    static OWNED: std::sync::LazyLock<Owned> = std::sync::LazyLock::new(Owned::default);
    OutboundRequest {
        method: "GET",
        origin: "https://up.example.com",
        authority: "up.example.com",
        base_path: "",
        path: "/",
        query: None,
        fields: ForwardedFields::of(&[], &OWNED),
        body: OutboundBody::Empty,
        after: None,
        subject: None,
        may_probe: false,
    }
}

fn response(status: u16) -> UpstreamResponse<'static> {
    UpstreamResponse {
        origin: "https://up.example.com",
        status,
        fields: &[],
        is_retry: false,
        can_retry: true,
    }
}
