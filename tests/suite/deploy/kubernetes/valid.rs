//! What is rendered is valid for five versions of Kubernetes, in strict mode. The validator has no schemas of other projects:
//! `custom.rs` has.

use super::custom::CUSTOM;
use super::objects::{kind_of, title};
use super::rendered::all;
use crate::harness::kubernetes_validate;

/// From the oldest version with native sidecars to the newest.
const VERSIONS: [&str; 5] = ["1.29", "1.31", "1.33", "1.35", "1.37"];

#[test]
fn rendered_manifests_are_valid_for_each_kubernetes_version() {
    let text: Vec<_> = all().iter().map(|rendered| rendered.text.as_str()).collect();
    let text = text.join("\n---\n");
    let objects = || all().into_iter().flat_map(|rendered| &rendered.objects);
    let (custom, own): (Vec<_>, Vec<_>) = objects().partition(|object| CUSTOM.contains(&kind_of(object)));
    for version in VERSIONS {
        let output = kubernetes_validate(version, &text);
        let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "Kubernetes {version}: {said}");
        // A kind without a schema is only a warning to the tool.
        let warnings: Vec<_> = said.lines().filter(|line| line.starts_with("WARN")).collect();
        assert_eq!(warnings.len(), custom.len(), "Kubernetes {version}: {warnings:#?}");
        assert_eq!(said.matches(" passed for resource ").count(), own.len(), "Kubernetes {version}: {said}");
    }
    assert!(own.len() > 60, "{} objects", own.len());
}

#[test]
fn strict_validation_detects_a_misspelt_field() {
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  containers: [{ name: a, imagePullPolice: Always }]\n";
    assert!(!kubernetes_validate(VERSIONS[0], manifest).status.success());
}

#[test]
fn rendered_objects_have_names_of_their_own() {
    for rendered in all() {
        let mut titles: Vec<_> = rendered.objects.iter().map(title).collect();
        titles.sort();
        let count = titles.len();
        titles.dedup();
        assert_eq!(titles.len(), count, "{}", rendered.name);
        assert!(count > 0, "{} renders nothing", rendered.name);
    }
}
