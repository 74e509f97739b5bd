//! The objects of the cluster that belong to the webhook, and their names.

/// A name of an object of the cluster: a DNS label (RFC 1123), so that it is one segment of a path and one
/// label of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

/// The error of a name that is no DNS label.
#[derive(Debug, thiserror::Error)]
#[error("not a name of an object: 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends")]
pub struct NotALabel;

impl std::str::FromStr for Label {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, NotALabel> {
        let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let is_outer = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
        let bytes = text.as_bytes();
        let is_label = bytes.len() <= 63
            && bytes.iter().all(is_inner)
            && is_outer(bytes.first())
            && is_outer(bytes.last());
        if is_label { Ok(Self(text.to_owned())) } else { Err(NotALabel) }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The objects that belong to the webhook.
#[derive(Debug, Clone)]
pub struct OwnObjects {
    /// The namespace of the webhook.
    pub namespace: Label,
    /// The Service by which the API server calls it.
    pub service: Label,
    /// The Secret with the certificate.
    pub secret: Label,
    /// The `MutatingWebhookConfiguration`.
    pub configuration: Label,
}

impl OwnObjects {
    /// The name that the API server verifies in the certificate.
    pub(super) fn dns_name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// The Secret, in messages.
    pub(super) fn secret_text(&self) -> String {
        format!("secret {}/{}", self.namespace, self.secret)
    }

    /// The configuration, in messages.
    pub(super) fn configuration_text(&self) -> String {
        format!("mutatingwebhookconfiguration {}", self.configuration)
    }

    pub(super) fn secrets_path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    pub(super) fn secret_path(&self) -> String {
        format!("{}/{}", self.secrets_path(), self.secret)
    }

    pub(super) fn configuration_path(&self) -> String {
        format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{}", self.configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_name_is_one_label() {
        for text in ["a", "sidekey-webhook", "0a", &"a".repeat(63)] {
            assert_eq!(text.parse::<Label>().unwrap().to_string(), text);
        }
        for text in ["", "-a", "a-", "A", "a.b", "a/b", "..", "a%2f", "ä", &"a".repeat(64)] {
            assert!(text.parse::<Label>().is_err(), "{text}");
        }
    }
}
