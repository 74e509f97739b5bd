//! Nothing in a preset is without effect: if one part of its service is left out, the configuration is invalid or its provider
//! rejects the request. So the rules see every part.

use serde_yaml::{Mapping, Value};
use sidekey::config::Config;
use sidekey::credential::READERS;

use super::fake::{ACCEPTED, Fake};
use super::providers;
use super::setup::{Files, led_to};
use crate::harness::Sidekey;

/// Parts that make no difference to the request of a test: they say when the token is renewed, or by which version of HTTP.
const WITHOUT_EFFECT: [&str; 7] = [
    "auth.default_expires_in",
    "auth.lifetime",
    "auth.reuse.min",
    "auth.reuse.max",
    "protocol",
    "refresh_on.status",
    "refresh_on.code",
];

/// Every service that is the same without one part, with the path of that part.
fn without_a_part(service: &Value) -> Vec<(String, Value)> {
    fn visit(
        value: &Value,
        path: &str,
        rebuild: &dyn Fn(Option<Value>) -> Value,
        found: &mut Vec<(String, Value)>,
    ) {
        let is_source = |entries: &Mapping| entries.len() == 1 && entries.contains_key("file");
        match value {
            Value::Mapping(entries) if !is_source(entries) => {
                for (key, entry) in entries {
                    let path = format!("{path}.{}", key.as_str().unwrap());
                    let rebuild = |entry: Option<Value>| {
                        let mut entries = entries.clone();
                        match entry {
                            Some(entry) => entries.insert(key.clone(), entry),
                            None => entries.shift_remove(key),
                        };
                        rebuild((!entries.is_empty()).then(|| entries.into()))
                    };
                    visit(entry, &path, &rebuild, found);
                }
            }
            Value::Sequence(items) => {
                for (at, item) in items.iter().enumerate() {
                    let rebuild = |item: Option<Value>| {
                        let mut items = items.clone();
                        match item {
                            Some(item) => items[at] = item,
                            None => drop(items.remove(at)),
                        }
                        rebuild((!items.is_empty()).then(|| items.into()))
                    };
                    visit(item, &format!("{path}[{at}]"), &rebuild, found);
                }
            }
            _ => found.push((path.trim_start_matches('.').to_owned(), rebuild(None))),
        }
    }
    let mut found = Vec::new();
    visit(service, "", &|whole| whole.unwrap_or(Value::Null), &mut found);
    found
}

#[tokio::test]
async fn every_part_of_a_preset_is_one_that_its_provider_needs() {
    let fake = Fake::start().await;
    let files = Files::of(&fake);
    let (mut mutants, mut parts) = (Vec::new(), 0);
    for provider in providers::all() {
        for (part, service) in without_a_part(&provider.sample_service()) {
            parts += 1;
            let named = |service| (format!("m{parts}"), service);
            let is_valid =
                Config::parse(&files.configuration([named(service.clone())]), "services.yaml", READERS)
                    .is_ok();
            if is_valid && !WITHOUT_EFFECT.contains(&part.as_str()) {
                let (name, service) = named(led_to(&fake, service));
                mutants.push((name, service, provider, part));
            }
        }
    }
    assert!(parts > 200 && mutants.len() > 40, "{parts} parts, of which {} can be left out", mutants.len());
    let services = mutants.iter().map(|(name, service, ..)| (name.clone(), service.clone()));
    let sidekey = Sidekey::configured(&files.configuration(services)).start().await;
    let mut unseen = Vec::new();
    for (name, _, provider, part) in &mutants {
        let response = provider.call(&sidekey.url(&format!("/{name}"))).send().await;
        if response.text() == ACCEPTED {
            unseen.push(format!("{}: {part}", provider.id));
        }
    }
    assert!(unseen.is_empty(), "the rules do not see that these are left out: {unseen:#?}");
}
