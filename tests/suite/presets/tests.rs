//! What holds for every preset.

use std::collections::BTreeSet;

use serde_json::Value;
use sidekey::presets;

use super::fake::{ACCEPTED, Fake};
use super::providers;
use super::rules::Provider;
use super::setup::{Files, led_to};
use crate::harness::Sidekey;

#[test]
fn every_preset_has_the_rules_of_its_provider() {
    let known: Vec<_> = providers::all().map(|provider| provider.id).collect();
    let (rules, data) = (known.iter().copied().collect::<BTreeSet<_>>(), presets::all());
    assert_eq!(rules.len(), known.len(), "the rules of a provider are there once");
    assert_eq!(rules, data.iter().map(|preset| preset.id.as_str()).collect());
    for provider in providers::all() {
        for question in provider.preset().answers.iter().filter(|question| question.default.is_none()) {
            let is_answered = provider.answers.iter().any(|(name, _)| *name == question.name);
            assert!(is_answered, "{}: `{}` has no sample, so nothing tests it", provider.id, question.name);
        }
    }
}

#[tokio::test]
async fn service_of_every_preset_keeps_the_rules_of_its_provider() {
    let fake = Fake::start().await;
    let files = Files::of(&fake);
    let services =
        providers::all().map(|provider| (provider.id.to_owned(), led_to(&fake, provider.sample_service())));
    let sidekey = Sidekey::configured(&files.configuration(services)).start().await;
    let mut failed = Vec::new();
    for provider in providers::all() {
        let response = provider.call(&sidekey.url(&format!("/{}", provider.id))).send().await;
        if (response.status, response.text().as_str()) != (200, ACCEPTED) {
            failed.push(format!(
                "{}: {} {} {:?}",
                provider.id,
                response.status,
                response.text(),
                fake.take_broken()
            ));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The providers that have a request to test with.
fn tested_ones() -> impl Iterator<Item = &'static Provider> {
    providers::all().filter(|provider| provider.test_path().is_some())
}

#[tokio::test]
async fn service_without_a_test_passes_the_rejection_of_a_wrong_secret() {
    let fake = Fake::start().await;
    let untested = providers::all().filter(|provider| provider.test_path().is_none());
    let untested: Vec<_> = untested.collect();
    assert!(!untested.is_empty());
    for provider in untested {
        for name in Files::names(provider, &fake) {
            let files = Files::of(&fake);
            files.make_wrong(&name);
            let service = (provider.id.to_owned(), led_to(&fake, provider.sample_service()));
            let sidekey = Sidekey::configured(&files.configuration([service])).start().await;
            let response = provider.call(&sidekey.url(&format!("/{}", provider.id))).send().await;
            assert_eq!(response.status, provider.rejects.0, "{name}: {:?}", fake.take_broken());
            let says_it =
                |note: &String| note.contains("wrong") && note.contains(&provider.rejects.0.to_string());
            assert!(provider.preset().notes.iter().any(says_it), "{}", provider.id);
        }
    }
}

/// Runs `sidekey test` for the service of a preset, with this file made wrong if it is named. Returns the report.
async fn tested(fake: &Fake, provider: &Provider, wrong: Option<&str>) -> Value {
    let files = Files::of(fake);
    if let Some(name) = wrong {
        files.make_wrong(name);
    }
    let service = (provider.id.to_owned(), led_to(fake, provider.sample_service()));
    let config = files.write("services.yaml", &files.configuration([service]));
    let path = provider.test_path().unwrap();
    let output = Sidekey::command(&["test", "--config", &config, "--json", provider.id, &path], &[]).await;
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}: {}", provider.id, String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn sidekey_test_says_that_a_good_credential_works() {
    let fake = Fake::start().await;
    let mut failed = Vec::new();
    for provider in tested_ones() {
        let report = tested(&fake, provider, None).await;
        if report["ok"] != true {
            failed.push(format!("{}: {} {:?}", provider.id, report["summary"], fake.take_broken()));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn sidekey_test_says_that_a_wrong_secret_is_rejected() {
    let fake = Fake::start().await;
    let mut failed = Vec::new();
    for provider in tested_ones() {
        let names = Files::names(provider, &fake);
        assert!(!names.is_empty(), "{}: no secret", provider.id);
        for name in names {
            let report = tested(&fake, provider, Some(&name)).await;
            let broken = fake.take_broken();
            if broken.is_empty() {
                failed.push(format!("{name}: the wrong secret was accepted"));
            } else if let Err(why) = says_so(provider, &report) {
                failed.push(format!("{name}: {why}: {report:#}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Whether a report says that the provider rejected the secret, and with which status.
fn says_so(provider: &Provider, report: &Value) -> Result<(), String> {
    let summary = report["summary"].as_str().unwrap_or_default();
    let refused =
        provider.token.as_ref().map(|token| format!("the token endpoint answered {}", token.rejects.0));
    let refused =
        refused.or_else(|| provider.app.as_ref().map(|_| format!("answered {}", provider.rejects.0)));
    if let Some(said) = refused {
        return (report["ok"] == false && summary.contains(&said)).then_some(()).ok_or(said);
    }
    let status = provider.rejects.0;
    if report["status"] != status || report["ok"] != (status < 400) {
        return Err(format!("expected {status}"));
    }
    // Elsewhere such a status means something else, so the preset must say it.
    let says_it = |note: &String| note.contains("wrong") && note.contains(&status.to_string());
    let is_said = status == 401 || provider.preset().notes.iter().any(says_it);
    is_said.then_some(()).ok_or_else(|| format!("no note says that {status} may mean a wrong secret"))
}

/// `sidekey check` accepts the service of every preset, with all answers and with those that are required.
#[tokio::test]
async fn service_of_every_preset_is_valid() {
    let schema = jsonschema::validator_for(&sidekey::config::schema(sidekey::credential::READERS)).unwrap();
    let fake = Fake::start().await;
    let files = Files::of(&fake);
    let mut services = Vec::new();
    for provider in providers::all() {
        let mut answers = provider.sample_answers();
        services.push((provider.id.to_owned(), provider.sample_service()));
        for question in &provider.preset().answers {
            if question.optional || question.default.is_some() {
                answers.texts.remove(&question.name);
            }
        }
        services.push((format!("{}-required", provider.id), provider.preset().fill(&answers).unwrap()));
    }
    let text = files.configuration(services);
    let value: Value = serde_yaml::from_str(&text).unwrap();
    let errors: Vec<_> =
        schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let output = Sidekey::command(&["check", &files.write("services.yaml", &text)], &[]).await;
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && !said.contains("warning"), "{said}");
}
