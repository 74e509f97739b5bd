//! `type: aws_sigv4`: AWS Signature Version 4, in header fields or in the query.

use std::time::Duration;

use crate::config::ValueServer;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys as KeyTable};
use crate::credential::aws;
use crate::credential::aws::{
    ACCESS_KEY_ID, ASSUME_ROLE, AwsSigner, CREDENTIALS, Identity, Keys, PayloadRule, Region,
    SECRET_ACCESS_KEY, SESSION_TOKEN, SigningScope,
};
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, UpstreamErrors,
    store_or_new,
};
use crate::refresh::SourceError;

/// The kind `aws_sigv4`.
pub struct AwsSigV4;

/// The settings of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    scope: SigningScope,
    identity: Identity,
}

const PAYLOADS: [(&str, PayloadRule); 3] =
    [("auto", PayloadRule::Auto), ("signed", PayloadRule::Signed), ("unsigned", PayloadRule::Unsigned)];

/// Whether the signature goes into the query.
const PLACES: [(&str, bool); 2] = [("header", false), ("query", true)];

/// The least time between two requests for keys because the upstream rejects the current ones.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

impl Kind for AwsSigV4 {
    const NAME: &'static str = "aws_sigv4";
    const KEYS: KeyTable = &[
        Key::required(
            "service",
            Format::Pattern("^[a-z0-9-]+$"),
            "The service as in the scope of its signatures, such as `s3` or `execute-api`.",
        ),
        Key::depends(
            "region",
            Format::Pattern("^[A-Za-z0-9-]+$"),
            "The region, such as `eu-west-1`; or `region_set`.",
        ),
        Key::depends(
            "region_set",
            Format::Distinct(&Format::Pattern("^[A-Za-z0-9*-]+$")),
            "The regions in which a signature is valid, such as `*` (Signature Version 4a); or `region`.",
        ),
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
        SESSION_TOKEN,
        CREDENTIALS,
        ASSUME_ROLE,
        Key::optional(
            "payload",
            Format::Words(&PAYLOADS),
            "Which bodies are signed: every one, none, or every one but large ones for S3 by TLS.",
        )
        .or("auto"),
        Key::optional("in", Format::Words(&PLACES), "Where the signature goes.").or("header"),
    ];
    const REJECTED_WITH: &'static [u16] = &[400, 401, 403];
    const SIGNS: bool = true;
    const IS_FOR_HOST: bool = true;
    const UPSTREAM_ERRORS: UpstreamErrors = aws::UPSTREAM_ERRORS;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        let service = mapping.required("service").and_then(|value| value.parse(service));
        let region = region(mapping);
        let payload = mapping.optional("payload");
        let rule = payload.as_ref().map_or(Some(PayloadRule::Auto), |value| value.one_of(&PAYLOADS));
        let is_in_query = mapping.optional("in").map_or(Some(false), |value| value.one_of(&PLACES));
        let of_service = region.as_ref().and_then(Region::one);
        let identity = aws::identity(mapping, of_service);
        let (service, is_in_query) = (service?, is_in_query?);
        let is_s3 = service.starts_with("s3");
        let wrong = match rule {
            Some(PayloadRule::Signed) if is_in_query && is_s3 => {
                "S3 does not sign the body if the signature is in the query"
            }
            Some(PayloadRule::Unsigned) if is_in_query && !is_s3 => {
                "a service other than S3 is told in a header field that the body is not signed: leave out `in: query`"
            }
            _ => "",
        };
        if let (Some(value), false) = (&payload, wrong.is_empty()) {
            value.error(wrong);
            return None;
        }
        Some(Settings {
            scope: SigningScope { service, region: region?, payload: rule?, is_in_query },
            identity: identity?,
        })
    }

    fn owned(settings: &Settings) -> Owned {
        AwsSigner::owned(&settings.scope)
    }

    fn unshareable(settings: &Settings) -> Option<&'static str> {
        settings.identity.unshareable()
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let Some(source) = aws::source(&settings.identity, context, MIN_INTERVAL)? else { return Ok(None) };
        Ok(Some(Refresh::new(source, store_or_new(reuse, MIN_INTERVAL))))
    }

    /// Keys of the same role stay in use if only what they are obtained with has changed.
    fn keeps_value(old: &Settings, new: &Settings) -> bool {
        old.identity.is_same_role(&new.identity)
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        let keys = match settings.identity.static_keys() {
            Some(keys) => Keys::Fixed(Box::new(keys.keys())),
            None => Keys::Stored(build.store()),
        };
        Box::new(AwsSigner::new(build.service, settings.scope.clone(), keys))
    }

    fn region(settings: &Settings) -> Option<String> {
        settings.scope.region.one().map(str::to_owned)
    }

    fn servers(settings: &Settings) -> Vec<ValueServer> {
        settings.identity.servers()
    }

    fn value_server(settings: &Settings) -> Option<String> {
        settings.identity.server()
    }

    fn explain_failure(settings: &Settings, error: &SourceError) -> Vec<String> {
        settings.identity.explain(error)
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scope = "Are `service` and `region` those of the host in `upstream`? The response of most services names what it expected.";
        let key = match settings.identity.static_keys() {
            Some(keys) if keys.session_token.is_some() => {
                "Are the three values of the key from the same session, and has it not expired?"
            }
            Some(_) => "Is the access key active, and are its id and its secret from the same key?",
            None => "AWS gave the key, so it is right: is its account or its role the one that may do this?",
        };
        let clock = "If this machine's clock is off by more than five minutes, signatures are rejected; Sidekey then uses the \
                     time of the upstream, and the log says so.";
        let permission = "AWS answers 403 as well if the identity may not do this: compare its policies, and those of the resource.";
        let permission = Some(permission).filter(|_| rejection.status != 401);
        [scope, key, clock].into_iter().chain(permission).map(str::to_owned).collect()
    }
}

fn service(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(is_allowed) {
        return Err(
            "a service is lower-case letters, digits and hyphens, as in the scope of its signatures: \
                    `s3`, `execute-api`"
                .into(),
        );
    }
    Ok(text.to_owned())
}

fn region(mapping: &mut Mapping<'_>) -> Option<Region> {
    let (one, set) = (mapping.optional("region"), mapping.optional("region_set"));
    match (one, set) {
        (Some(one), None) => one.parse(|text| region_name(text, &['-'])).map(Region::One),
        (None, Some(set)) => {
            let regions = set.one_or_more();
            let names: Vec<_> = regions
                .iter()
                .map(|value| value.parse(|text| region_name(text, &['-', '*'])))
                .collect::<Option<_>>()?;
            Some(Region::Set(names.join(","))).filter(|_| !names.is_empty())
        }
        (Some(_), Some(set)) => {
            set.error("both `region` and `region_set` are set: a signature is for one region, or by version 4a for several");
            None
        }
        (None, None) => {
            mapping.value().error("`region` is required, or `region_set` for Signature Version 4a");
            None
        }
    }
}

fn region_name(text: &str, others: &[char]) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(&c)) {
        return Err("a region is letters, digits and hyphens: `eu-west-1`".into());
    }
    Ok(text.to_owned())
}
