//! What the replicas share: the content of a Secret, with the names that cert-manager uses as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::issued::Pair;
use super::trusted::Trusted;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const TRUSTED: &str = "ca.crt";

/// The content of the Secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// The certificate in use.
    pub(super) current: Option<Pair>,
    /// The one that will be in use when the API server trusts its CA.
    pub(super) next: Option<Pair>,
    /// The CAs of these and of previous certificates.
    pub(super) trusted: Trusted,
}

impl Stored {
    /// Reads the object of a Secret. What is missing or is no text counts as absent.
    pub(super) fn read(secret: &Value) -> Self {
        let text = |name: &str| {
            let decoded = Zeroizing::new(STANDARD.decode(secret.get("data")?.get(name)?.as_str()?).ok()?);
            Some(Zeroizing::new(std::str::from_utf8(&decoded).ok()?.to_owned()))
        };
        let pair =
            |certificate, key| Some(Pair { certificate: text(certificate)?.to_string(), key: text(key)? });
        Self {
            current: pair(CERTIFICATE, KEY),
            next: pair(NEXT_CERTIFICATE, NEXT_KEY),
            trusted: text(TRUSTED).map(|text| Trusted::read(text.as_bytes())).unwrap_or_default(),
        }
    }

    /// Writes the content into the object of a Secret; all else of the object stays.
    pub(super) fn write(&self, secret: &mut Value) {
        if !secret["data"].is_object() {
            secret["data"] = Value::Object(Map::new());
        }
        let mut set = |name: &str, text: Option<&str>| {
            let data = secret["data"].as_object_mut().expect("made an object above");
            match text {
                Some(text) => drop(data.insert(name.into(), STANDARD.encode(text).into())),
                None => drop(data.remove(name)),
            }
        };
        let (current, next) = (self.current.as_ref(), self.next.as_ref());
        set(CERTIFICATE, current.map(|pair| pair.certificate.as_str()));
        set(KEY, current.map(|pair| pair.key.as_str()));
        set(NEXT_CERTIFICATE, next.map(|pair| pair.certificate.as_str()));
        set(NEXT_KEY, next.map(|pair| pair.key.as_str()));
        set(TRUSTED, Some(&self.trusted.pem()));
    }
}
