//! A token of the caller in the token request: `{ from: caller }`, and how many tokens of callers are held.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;

/// Default of `max_entries`.
const MAX_ENTRIES: usize = 1000;
/// Default of `max_requests`.
const MAX_REQUESTS: usize = 16;

/// The limits on the tokens of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerTokenLimits {
    /// The number of tokens that are held.
    pub max_entries: usize,
    /// The number of token requests at the same time.
    pub max_requests: usize,
}

/// The key for the limits.
pub(super) const CALLER_TOKENS: Key = Key::optional(
    "caller_tokens",
    Format::Keys(&[LIMITS]),
    "Limits on the tokens that are requested with those of callers (`{ from: caller }`).",
);

const LIMITS: Keys = &[
    Key::optional("max_entries", Format::Number(1, 10_000), "Tokens that are held at most.").or("1000"),
    Key::optional("max_requests", Format::Number(1, 100), "Token requests at the same time at most.")
        .or("16"),
];

/// The format of a token of the caller.
pub(super) const FROM_CALLER: Format = Format::Keys(&[FROM]);

const FROM: Keys = &[Key::required(
    "from",
    Format::Words(&FROM_WORDS),
    "`caller`: the bearer token of the request that is forwarded.",
)];

const FROM_WORDS: [(&str, ()); 1] = [("caller", ())];

/// Whether a value is meant to be [`FROM_CALLER`].
pub(super) fn is_from_caller(value: &Value<'_>) -> bool {
    value.is_map() && value.mapping().is_some_and(|mapping| mapping.has("from"))
}

/// Reads `{ from: caller }`.
pub(super) fn from_caller(value: &Value<'_>) -> Option<()> {
    let mut mapping = value.mapping()?;
    mapping.allow(FROM);
    let from = mapping.required("from").and_then(|value| value.one_of(&FROM_WORDS));
    mapping.reject_unknown_keys();
    from
}

/// Reads the limits. `is_used` says whether the token request has a token of the caller.
pub(super) fn limits(mapping: &mut Mapping<'_>, is_used: bool) -> CallerTokenLimits {
    let mut limits = CallerTokenLimits { max_entries: MAX_ENTRIES, max_requests: MAX_REQUESTS };
    let Some(value) = mapping.optional("caller_tokens") else { return limits };
    if !is_used {
        value.error("this key has no effect without `{ from: caller }`");
    }
    if let Some(mut keys) = value.mapping() {
        let number = |value: Option<Value<'_>>| usize::try_from(value?.number()?).ok();
        limits.max_entries = number(keys.optional("max_entries")).unwrap_or(MAX_ENTRIES);
        limits.max_requests = number(keys.optional("max_requests")).unwrap_or(MAX_REQUESTS);
        keys.reject_unknown_keys();
    }
    limits
}
