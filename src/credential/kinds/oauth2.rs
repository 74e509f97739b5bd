//! `type: oauth2`: a token from a token endpoint (RFC 6749), which a refresher replaces before it expires.
//! With `dpop` it is bound to a key (RFC 9449).

use std::sync::Arc;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::schema::Schema;
use crate::config::reader::table::Keys;
use crate::config::{ClientAuth, Grant, OAUTH2_KEYS, OAuth2 as Settings, oauth2_schema, read_oauth2};
use crate::credential::{
    Build, BuildError, Dpop, ForCaller, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle,
    Token, requested_token, token_endpoint,
};
use crate::oauth2::advice;
use crate::oauth2::caller_tokens::CallerTokens;
use crate::oauth2::grants::CallerGrant;
use crate::refresh::SourceError;

/// The kind `oauth2`.
pub struct OAuth2;

impl Kind for OAuth2 {
    const NAME: &'static str = "oauth2";
    /// The grant and the client authentication have keys of their own, which the reader allows.
    const KEYS: Keys = OAUTH2_KEYS;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        read_oauth2(mapping)
    }

    fn schema(schema: &mut Schema) -> serde_json::Value {
        oauth2_schema(schema)
    }

    fn owned(settings: &Settings) -> Owned {
        let token = Owned::at(&settings.token);
        if settings.dpop.is_some() { Dpop::owned_with(token) } else { token }
    }

    fn unshareable(settings: &Settings) -> Option<&'static str> {
        match &settings.grant {
            grant if grant.caller_tokens().is_some() => Some("each caller has a token of its own"),
            _ if settings.dpop.is_some() => Some("with `dpop` a token is bound to the key of one process"),
            _ if matches!(&settings.client_auth, ClientAuth::Presented { assertion, .. } if !assertion.has_value()) => {
                Some("a client assertion that is read for each request may be another one in each process")
            }
            grant if grant.keeps_refresh_token() && settings.token_field.is_some() => {
                Some("with `token.field` two services of one grant would have each other's token")
            }
            _ if settings.tls.client.is_some() => {
                Some("with a client certificate a token may be bound to the certificate of one process")
            }
            Grant::TokenExchange(exchange) if !exchange.is_fixed() => Some(
                "a subject or actor token that is read for each request may be another one in each process",
            ),
            _ => None,
        }
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        if let Some(limits) = settings.grant.caller_tokens() {
            let tokens = CallerTokens::new(limits, settings.request.min_interval, context.users.clone())?;
            let (tokens, grant) = (
                Arc::new(tokens),
                CallerGrant::new(
                    token_endpoint(settings, context)?,
                    context.services,
                    context.users,
                    context.traces,
                ),
            );
            let running = tokens.clone();
            return Ok(Some(Refresh::task(tokens, |services| running.run(services, Arc::new(grant)))));
        }
        requested_token(Self::NAME, settings, context, reuse).map(Some)
    }

    /// A token that was issued with an old secret is for the same client and user, so it stays in use. A
    /// token that is bound to a key cannot be used with another key. Tokens of callers are requested again.
    fn keeps_value(old: &Settings, new: &Settings) -> bool {
        new.dpop.is_none() && new.grant.caller_tokens().is_none() && old.differs_in_secret_only(new)
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        if settings.grant.caller_tokens().is_some() {
            return Box::new(ForCaller::new(build.shared(), &settings.token));
        }
        let token = Token::new(build.store(), &settings.token);
        if settings.dpop.is_some() { Box::new(Dpop::new(token)) } else { Box::new(token) }
    }

    fn value_server(settings: &Settings) -> Option<String> {
        Some(settings.token_url.redacted_url())
    }

    fn explain_failure(settings: &Settings, error: &SourceError) -> Vec<String> {
        advice(error, settings)
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scheme = rejection.of_scheme(rejection.token_scheme.unwrap_or("Bearer"));
        let has_api = |(name, _): &(String, String)| matches!(name.as_str(), "audience" | "resource");
        let params = if settings.request.params.iter().any(has_api) {
            "are `audience` and `resource` in `token_request.params` right?"
        } else {
            "`audience` or `resource` in `token_request.params` request another."
        };
        let others = [
            format!(
                "The token endpoint issued the token, but the upstream rejects it: is it for this API? Compare `aud` and `iss` \
                 of the token (`sidekey test` shows them) with what the API requires; {params}"
            ),
            format!(
                "Is `{}` that of the same environment (test or live, same tenant) as `upstream`?",
                settings.token_url.key()
            ),
            "If a clock is wrong, a token may count as expired or as not yet valid: compare its `iat` and `exp` with the time."
                .to_owned(),
        ];
        scheme.into_iter().chain(others).collect()
    }
}
