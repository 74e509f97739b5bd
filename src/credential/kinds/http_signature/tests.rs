//! The vectors of RFC 9421: its keys (B.1), its test request (B.2), and the signatures over it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::Header;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

use super::component::Component;
use super::field::check;
use super::scheme::{ContentDigest, Format, HttpSignature, signature_base};
use crate::credential::{
    ForwardedFields, Injection, OutboundBody, OutboundRequest, SignatureScheme, Unsignable,
};
use crate::secret::{Algorithm, PublicKey, SigningKey};

const RSA: &str = include_str!("fixtures/rsa-pss.pem");
const P256: &str = include_str!("fixtures/ecc-p256.pem");
const ED25519: &str = include_str!("fixtures/ed25519.pem");
const SHARED: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const BODY: &[u8] = b"{\"hello\": \"world\"}";
const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

const FIELDS: [(&str, &str); 3] = [
    ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("Content-Type", "application/json"),
    ("Content-Length", "18"),
];

fn format(components: &[&str]) -> Format {
    Format {
        components: components.iter().map(|text| Component::parse(text).unwrap()).collect(),
        label: "sig".into(),
        has_created: true,
        lifetime: None,
        has_nonce: false,
        alg: None,
        tag: None,
        digest: ContentDigest::Sha512,
    }
}

fn key(pem: &str, algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pem(pem, Some(algorithm)).unwrap()
}

fn request<'a>(
    fields: &'a [Header<'a>],
    scheme: &'a HttpSignature,
    path: &'a str,
    query: Option<&'a str>,
) -> OutboundRequest<'a> {
    OutboundRequest {
        method: "POST",
        origin: "https://example.com",
        authority: "Example.com:443",
        base_path: "",
        path,
        query: query.map(Into::into),
        fields: ForwardedFields::of(fields, scheme.owned()),
        body: OutboundBody::Complete(BODY),
        after: None,
        subject: None,
        may_probe: false,
    }
}

fn created() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_618_884_473)
}

/// Signs the test request. Returns the value of `Signature-Input` and the signature, without their labels.
fn signed(format: Format, key: SigningKey, key_id: &str) -> (String, Vec<u8>) {
    let scheme = HttpSignature::new(format.into(), key, Some(key_id.into()));
    let fields = FIELDS.map(|(name, value)| Header { name, value: value.as_bytes() });
    let request = request(&fields, &scheme, "/foo", Some("param=Value&Pet=dog"));
    let mut injection = Injection::default();
    scheme.sign(&request, created(), &mut injection).unwrap();
    let field = |name| {
        let (_, value) = injection.fields.iter().find(|(field, _)| *field == name).unwrap();
        value.to_str().unwrap().strip_prefix("sig=").unwrap().to_owned()
    };
    let signature = field("Signature");
    (field("Signature-Input"), STANDARD.decode(signature.trim_matches(':')).unwrap())
}

/// The base with the values of the test request, by hand.
fn base(covered: &[(&str, &str)], parameters: &str) -> String {
    signature_base(covered.iter().copied(), parameters)
}

fn verify(key: &SigningKey, message: &str, signature: &[u8]) -> bool {
    let message = message.as_bytes();
    match key.public().unwrap() {
        PublicKey::Rsa { modulus, exponent } => {
            let public = RsaPublicKeyComponents { n: modulus, e: exponent };
            public.verify(&signature::RSA_PSS_2048_8192_SHA512, message, signature).is_ok()
        }
        PublicKey::Ec { x, y, .. } => {
            let point = [&[4][..], x, y].concat();
            UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok()
        }
        PublicKey::Ed25519(key) => {
            UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
        }
    }
}

#[test]
fn hmac_signature_is_that_of_b_2_5() {
    let key = SigningKey::shared_bytes(&STANDARD.decode(SHARED).unwrap(), Algorithm::Hs256);
    let format = format(&["date", "@authority", "content-type"]);
    let (input, signature) = signed(format, key, "test-shared-secret");
    assert_eq!(
        input,
        "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\""
    );
    assert_eq!(STANDARD.encode(signature), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
}

#[test]
fn ed25519_signature_is_that_of_b_2_6() {
    let components = ["date", "@method", "@path", "@authority", "content-type", "content-length"];
    let (input, signature) = signed(format(&components), key(ED25519, Algorithm::EdDsa), "test-key-ed25519");
    assert_eq!(
        input,
        "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;\
         keyid=\"test-key-ed25519\""
    );
    assert_eq!(
        STANDARD.encode(signature),
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    );
}

/// For algorithms whose signatures are random: the base is the one that the published signature is for.
#[test]
fn base_is_that_of_the_published_signatures() {
    let key = key(RSA, Algorithm::Ps512);
    let minimal = Format { components: Vec::new(), ..format(&[]) };
    let minimal =
        minimal.parameters(&[], Some("test-key-rsa-pss"), created(), Some("b3k2pp5k7z-50gnwp.yemd"));
    let tagged = Format {
        tag: Some("header-example".into()),
        ..format(&["@authority", "content-digest", "@query-param;name=\"Pet\""])
    };
    let full = [
        "date",
        "@method",
        "@path",
        "@query",
        "@authority",
        "content-type",
        "content-digest",
        "content-length",
    ];
    let ids = |format: &Format| -> Vec<String> {
        format.components.iter().map(|component| component.identifier.clone()).collect()
    };
    let (tagged_input, tagged_signature) = signed(tagged.clone(), key.clone(), "test-key-rsa-pss");
    let (full_input, full_signature) = signed(format(&full), key.clone(), "test-key-rsa-pss");
    assert_eq!(
        tagged_input,
        "(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;keyid=\"test-key-rsa-pss\";\
         tag=\"header-example\""
    );
    let tagged_values = ["example.com", DIGEST, "dog"];
    let full_values = [
        "Tue, 20 Apr 2021 02:07:55 GMT",
        "POST",
        "/foo",
        "?param=Value&Pet=dog",
        "example.com",
        "application/json",
        DIGEST,
        "18",
    ];
    let pairs = |ids: &[String], values: &[&str]| -> Vec<(String, String)> {
        ids.iter().cloned().zip(values.iter().map(|value| (*value).to_owned())).collect()
    };
    let built = |pairs: &[(String, String)], parameters: &str| {
        let pairs: Vec<_> = pairs.iter().map(|(id, value)| (id.as_str(), value.as_str())).collect();
        base(&pairs, parameters)
    };
    let tagged_base = built(&pairs(&ids(&tagged), &tagged_values), &tagged_input);
    let full_base = built(&pairs(&ids(&format(&full)), &full_values), &full_input);
    assert!(verify(&key, &tagged_base, &tagged_signature), "what is signed is the base");
    assert!(verify(&key, &full_base, &full_signature), "what is signed is the base");
    for (name, base, published) in
        [("B.2.1", base(&[], &minimal), B_2_1), ("B.2.2", tagged_base, B_2_2), ("B.2.3", full_base, B_2_3)]
    {
        assert!(verify(&key, &base, &STANDARD.decode(published).unwrap()), "{name}: {base}");
    }
}

/// B.2.4 is the signature of a response.
#[test]
fn ecdsa_base_is_that_of_b_2_4() {
    let digest =
        "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:";
    let covered = [
        ("\"@status\"", "200"),
        ("\"content-type\"", "application/json"),
        ("\"content-digest\"", digest),
        ("\"content-length\"", "23"),
    ];
    let ids: Vec<_> = covered.iter().map(|(id, _)| *id).collect();
    let parameters = format(&[]).parameters(&ids, Some("test-key-ecc-p256"), created(), None);
    let key = key(P256, Algorithm::Es256);
    let base = base(&covered, &parameters);
    let published =
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==";
    assert!(verify(&key, &base, &STANDARD.decode(published).unwrap()));
    assert!(verify(&key, &base, &key.sign(base.as_bytes()).unwrap()));
}

/// The value of a component in a request with these fields.
fn value(
    component: &str,
    fields: &[(&str, &str)],
    query: Option<&str>,
) -> Result<Option<String>, Unsignable> {
    let scheme = HttpSignature::new(format(&[]).into(), key(ED25519, Algorithm::EdDsa), None);
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
    let request = request(&fields, &scheme, "/a%20b", query);
    let component = Component::parse(component).unwrap();
    component.value(&request, None).map(|value| value.map(std::borrow::Cow::into_owned))
}

fn text(component: &str, fields: &[(&str, &str)], query: Option<&str>) -> Option<String> {
    value(component, fields, query).unwrap()
}

#[test]
fn derived_components_are_those_of_the_request() {
    for (component, query, expected) in [
        ("@method", None, "POST"),
        ("@authority", None, "example.com"),
        ("@scheme", None, "https"),
        ("@target-uri", Some("a=1"), "https://example.com/a%20b?a=1"),
        ("@request-target", Some(""), "/a%20b?"),
        ("@path", Some("a"), "/a%20b"),
        ("@query", None, "?"),
        ("@query", Some("a=%20&b"), "?a=%20&b"),
    ] {
        assert_eq!(text(component, &[], query).as_deref(), Some(expected), "{component}");
    }
}

#[test]
fn query_parameters_are_encoded_as_in_2_2_8() {
    let query = "var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&~=~*";
    for (component, expected) in [
        ("@query-param;name=\"var\"", Some("this%20is%20a%20big%0Amultiline%20value")),
        ("@query-param;name=\"bar\"", Some("with%20plus%20whitespace")),
        ("@query-param;name=\"fa%C3%A7ade%22%3A%20\"", Some("something")),
        ("@query-param;name=\"~\"", Some("%7E*")),
        ("@query-param;name=\"none\"", None),
    ] {
        assert_eq!(text(component, &[], Some(query)).as_deref(), expected, "{component}");
    }
    let twice = value("@query-param;name=\"a\"", &[], Some("a=1&%61=2"));
    assert!(matches!(twice, Err(Unsignable::Refused(_))), "{twice:?}");
}

/// A component, the fields of a request, and the component's value in it.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);

#[test]
fn fields_have_the_forms_of_2_1() {
    let dictionary = [("Example-Dict", "  a=1,    b=2;x=1;y=2"), ("example-dict", "c=(a   b   c), d")];
    let lines = [("Example-Header", "value, with, lots"), ("Example-Header", "of, commas")];
    let empty = [("X-Empty", "")];
    let digests = [("Content-Digest", "sha-256=:AA==:,sha-512=:AQ==:")];
    let cases: [Case<'_>; 12] = [
        ("example-dict", &dictionary, Some("a=1,    b=2;x=1;y=2, c=(a   b   c), d")),
        ("example-dict;key=\"a\"", &dictionary, Some("1")),
        ("example-dict;key=\"b\"", &dictionary, Some("2;x=1;y=2")),
        ("example-dict;key=\"c\"", &dictionary, Some("(a b c)")),
        ("example-dict;key=\"d\"", &dictionary, Some("?1")),
        ("example-dict;key=\"e\"", &dictionary, None),
        ("example-header;bs", &lines, Some(":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:")),
        ("X-Empty", &empty, Some("")),
        ("x-absent", &empty, None),
        ("content-digest;sf", &digests, Some("sha-256=:AA==:, sha-512=:AQ==:")),
        ("Content-Digest;key=\"sha-512\"", &digests, Some(":AQ==:")),
        ("priority;sf", &[("Priority", "u=1 ,  i")], Some("u=1, i")),
    ];
    for (component, fields, expected) in cases {
        assert_eq!(text(component, fields, None).as_deref(), expected, "{component}");
    }
    for (component, field) in [("x", "\u{e9}"), ("x;key=\"a\"", "(((("), ("priority;sf", "=")] {
        let fields = [("X", field), ("Priority", field)];
        assert!(matches!(value(component, &fields, None), Err(Unsignable::Refused(_))), "{component}");
    }
    assert_eq!(text("x;bs", &[("X", "\u{e9}")], None).as_deref(), Some(":w6k=:"));
}

#[test]
fn components_that_have_no_meaning_are_rejected_in_words() {
    for (component, why) in [
        ("@status", "only responses"),
        ("@signature-params", "always covered"),
        ("@body", "unknown; allowed: @method"),
        ("@method;key=\"a\"", "has no parameters"),
        ("@query-param", "write `@query-param;name="),
        ("@query-param;name=a", "write `@query-param;name="),
        ("date;req", "signatures of responses"),
        ("date;tr", "trailers"),
        ("date;sf", "not known here"),
        ("date;key=a", "a text in quotes"),
        ("date;bs;sf", "no other parameter"),
        ("date;other", "unknown parameter `other`"),
        ("date;bs=1", "has no value"),
        ("date ;;", "not a component"),
        ("\u{e9}", "not a component"),
        ("a b", "not the name of a header field"),
        ("host", "write `@authority`"),
        ("cookie", "cannot be signed"),
        ("via", "cannot be signed"),
        ("signature", "of the signature itself"),
    ] {
        let error = Component::parse(component).unwrap_err();
        assert!(error.contains(why), "{component}: {error}");
    }
    assert!(check("authorization").is_ok());
}

#[test]
fn content_digest_is_that_of_rfc_9530() {
    // RFC 9530 Appendix D: {"hello": "world"} and a line feed.
    let body = b"{\"hello\": \"world\"}\n";
    for (digest, expected) in [
        (ContentDigest::Sha256, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"),
        (
            ContentDigest::Sha512,
            "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:",
        ),
    ] {
        assert_eq!(digest.of(body).as_deref(), Some(expected));
    }
    assert_eq!(ContentDigest::Sha512.of(BODY).as_deref(), Some(DIGEST), "RFC 9421 B.2");
}

const B_2_1: &str = "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsck\
zXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELj\
VKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==";
const B_2_2: &str = "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSow\
OB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk\
4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==";
const B_2_3: &str = "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768Z\
rCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs\
65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==";
