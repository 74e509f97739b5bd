//! Invalid files, each with the name of its error: one module and one snapshot for each subject.

mod admin;
mod callers;
mod client_auth;
mod credentials;
mod document;
mod durations;
mod grants;
mod hardening;
mod headers;
mod intercept;
mod keys;
mod listener_tls;
mod listeners;
mod platforms;
mod previous;
mod protocol;
mod rules;
mod secret_stores;
mod shared_store;
mod state;
mod tls;
mod tokens;
mod tracing;
mod upstreams;
mod urls;
mod variables;

/// Name and text; the first newline is not part of the text.
pub(super) type Cases = &'static [(&'static str, &'static str)];

/// Every subject and its cases.
pub(super) const ALL: &[(&str, Cases)] = &[
    ("document", document::CASES),
    ("keys", keys::CASES),
    ("urls", urls::CASES),
    ("credentials", credentials::CASES),
    ("client_auth", client_auth::CASES),
    ("durations", durations::CASES),
    ("grants", grants::CASES),
    ("listeners", listeners::CASES),
    ("platforms", platforms::CASES),
    ("previous", previous::CASES),
    ("intercept", intercept::CASES),
    ("protocol", protocol::CASES),
    ("rules", rules::CASES),
    ("admin", admin::CASES),
    ("callers", callers::CASES),
    ("tls", tls::CASES),
    ("headers", headers::CASES),
    ("hardening", hardening::CASES),
    ("tokens", tokens::CASES),
    ("tracing", tracing::CASES),
    ("upstreams", upstreams::CASES),
    ("listener_tls", listener_tls::CASES),
    ("variables", variables::CASES),
    ("shared_store", shared_store::CASES),
    ("state", state::CASES),
    ("secret_stores", secret_stores::CASES),
];

/// Every case of every subject.
pub(super) fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    ALL.iter().flat_map(|(_, cases)| *cases)
}

/// Files that are too large for a snapshot.
pub(super) fn large() -> Vec<(&'static str, String)> {
    let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push(format!("a{level}: &a{level} [{inner}]"));
    }
    let deep: Vec<_> = (0..100).map(|level| " ".repeat(level) + "a:").collect();
    vec![
        ("aliases that multiply", bomb.join("\n")),
        ("deep nesting", deep.join("\n")),
        ("deep nesting in brackets", "[".repeat(100)),
        ("brackets without end", "[".repeat(1_000_000)),
        ("larger than 1 MiB", "#".repeat(1024 * 1024 + 1)),
    ]
}
