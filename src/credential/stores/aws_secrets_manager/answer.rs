//! What the errors of the API mean.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::oauth2::sanitize;
use crate::secret::Echoes;

/// The answer to `GetSecretValue`.
#[derive(Deserialize)]
pub(super) struct SecretValue {
    #[serde(rename = "SecretString")]
    pub(super) text: Option<Zeroizing<String>>,
    /// In Base64.
    #[serde(rename = "SecretBinary")]
    pub(super) binary: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// An error of the API.
pub(super) struct ApiError {
    /// Such as `ResourceNotFoundException`; empty if the answer has none.
    pub(super) code: String,
    /// Who answered what.
    pub(super) text: String,
}

impl ApiError {
    /// The error of an answer, without the secrets in it.
    pub(super) fn of<'s>(
        who: &str,
        status: u16,
        body: &[u8],
        secrets: impl IntoIterator<Item = &'s str>,
    ) -> Self {
        let found = serde_json::from_slice::<ErrorAnswer>(body).ok();
        let ErrorAnswer { kind, message } =
            found.unwrap_or(ErrorAnswer { kind: String::new(), message: String::new() });
        let echoes = Echoes::of(secrets);
        let safe = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            echoes.mask(&mut bytes);
            sanitize(&String::from_utf8_lossy(&bytes))
        };
        // Some answers have a namespace before it.
        let code = safe(kind.rsplit('#').next().unwrap_or_default());
        let mut text = format!("{who} answered {status}");
        for part in [code.clone(), safe(&message)].into_iter().filter(|part| !part.is_empty()) {
            text = format!("{text} {part}");
        }
        text.push_str(advice(&code));
        Self { code, text }
    }

    /// Whether the store cannot serve now.
    pub(super) fn is_passing(&self) -> bool {
        self.code.contains("Throttl") || self.code == "InternalServiceError"
    }

    /// Whether the keys have ended.
    pub(super) fn is_of_keys(&self) -> bool {
        ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"]
            .contains(&self.code.as_str())
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "ResourceNotFoundException" => {
            "; there is no such secret, or no such version of it, in this region and account"
        }
        "AccessDeniedException" => {
            "; does the identity have the permission `secretsmanager:GetSecretValue`, and `kms:Decrypt` for a key of your own?"
        }
        "InvalidRequestException" => "; is the secret marked for deletion?",
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "; is the access key that of this account, and active?"
        }
        "InvalidSignatureException" => {
            "; does the secret access key belong to the id, and is this machine's clock right?"
        }
        _ => "",
    }
}
