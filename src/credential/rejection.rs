//! A rejection of a credential by the upstream (401), as a kind explains it.

/// A rejection: what is known of it without anything that the upstream may have echoed.
#[derive(Debug, Clone, Copy)]
pub struct Rejection<'a> {
    /// The status: 401, or another one of [`Kind::REJECTED_WITH`](super::Kind::REJECTED_WITH).
    pub status: u16,
    /// The registered schemes and error codes in `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub challenges: &'a [&'static str],
    /// The scheme of the token that was sent, if the credential has one.
    pub token_scheme: Option<&'a str>,
}

impl Rejection<'_> {
    /// Whether the upstream asks for this scheme, or gives this error code.
    pub fn has(&self, word: &str) -> bool {
        self.challenges.contains(&word)
    }

    /// An explanation if the upstream asks for other schemes than the one that is sent.
    pub fn of_scheme(&self, sent: &str) -> Option<String> {
        const SCHEMES: [&str; 6] = ["Basic", "Bearer", "DPoP", "Digest", "Negotiate", "NTLM"];
        let others: Vec<_> = SCHEMES.into_iter().filter(|scheme| self.has(scheme)).collect();
        (!others.is_empty() && !self.has(sent)).then(|| {
            let others = others.join(", ");
            format!(
                "The upstream asks for {others}, and this service sends {sent}: set another `type` in `auth`."
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejection_is_of_the_scheme_if_others_are_asked_for() {
        let of = |challenges: &[&'static str]| {
            Rejection { status: 401, challenges, token_scheme: None }.of_scheme("Bearer")
        };
        assert!(
            of(&["Basic", "Digest"])
                .unwrap()
                .contains("asks for Basic, Digest, and this service sends Bearer")
        );
        assert_eq!(of(&["Basic", "Bearer", "invalid_token"]), None);
        assert_eq!(of(&["invalid_token"]), None);
        assert_eq!(of(&[]), None);
    }
}
