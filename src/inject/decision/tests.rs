#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::inject::{NativeSidecar, ProxyEnv, apply};

fn deployment(template: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}})
}

fn app() -> Value {
    json!({"spec": {"containers": [{"name": "app", "image": "app"}]}})
}

fn decide_by(object: &Value, settings: &Settings) -> Decision {
    decide(object, settings, None).unwrap()
}

/// The object with the sidecar.
fn injected(object: &Value, settings: &Settings) -> (Value, Injection) {
    let Decision::Inject(injection) = decide_by(object, settings) else { panic!("not injected: {object}") };
    let mut result = object.clone();
    apply(&mut result, &injection.operations).unwrap();
    (result, injection)
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(name_of).collect()
}

#[test]
fn native_sidecar_is_the_first_init_container() {
    let mut template = app();
    template["spec"]["initContainers"] = json!([{"name": "migrate"}]);
    template["spec"]["volumes"] = json!([{"name": "data"}]);
    let (result, injection) = injected(&deployment(&template), &Settings::default());
    let spec = &result["spec"]["template"]["spec"];
    assert_eq!(names(&spec["initContainers"]), ["sidekey", "migrate"]);
    assert_eq!(names(&spec["containers"]), ["app"]);
    assert_eq!(names(&spec["volumes"]), ["sidekey-config", "sidekey-secrets", "data"]);
    assert_eq!(spec["initContainers"][0]["restartPolicy"], "Always");
    let annotations = &result["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(*annotations, json!({"sidekey.io/injected": env!("CARGO_PKG_VERSION")}));
    assert_eq!((injection.pod, injection.warnings), ("/spec/template", vec![]));
}

#[test]
fn classic_sidecar_is_the_first_container() {
    let settings =
        Settings { native_sidecar: NativeSidecar::Never, proxy_env: ProxyEnv::Http, ..Settings::default() };
    let mut template = app();
    template["spec"]["initContainers"] = json!([{"name": "migrate"}]);
    let (result, _) = injected(&deployment(&template), &settings);
    let spec = &result["spec"]["template"]["spec"];
    assert_eq!(names(&spec["containers"]), ["sidekey", "app"]);
    assert_eq!(names(&spec["initContainers"]), ["migrate"]);
    assert_eq!(spec["initContainers"][0].get("env"), None, "the sidecar does not run yet");
    assert_eq!(spec["containers"][1]["env"][0]["name"], "HTTP_PROXY");
    assert_eq!(spec["containers"][0].get("env"), None, "Sidekey is no client of itself");
    assert_eq!(result["spec"]["template"]["metadata"]["annotations"][DEFAULT_CONTAINER], "app");
}

#[test]
fn only_a_job_may_end_its_classic_sidecar() {
    let settings = Settings { native_sidecar: NativeSidecar::Never, ..Settings::default() };
    let may_quit = |object: &Value, container: &str| {
        let result = injected(object, &settings).0;
        result.pointer(container).unwrap().to_string().contains("SIDEKEY_ALLOW_QUIT")
    };
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": app()}});
    assert!(may_quit(&job, "/spec/template/spec/containers/0"));
    assert!(!may_quit(&deployment(&app()), "/spec/template/spec/containers/0"));
    let mut pod = app();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    assert!(!may_quit(&pod, "/spec/containers/0"));
    pod["metadata"] = json!({"ownerReferences": [{"kind": "Job"}]});
    assert!(may_quit(&pod, "/spec/containers/0"));
}

#[test]
fn injected_object_is_not_injected_again() {
    for native_sidecar in [NativeSidecar::Always, NativeSidecar::Never] {
        let settings = Settings { native_sidecar, proxy_env: ProxyEnv::Http, ..Settings::default() };
        let (result, _) = injected(&deployment(&app()), &settings);
        assert_eq!(decide_by(&result, &settings), Decision::AlreadyInjected);
    }
}

#[test]
fn parts_that_are_null_or_empty_are_made() {
    for empty in [json!(null), json!([])] {
        let mut template = app();
        template["spec"]["initContainers"] = empty.clone();
        template["spec"]["volumes"] = empty;
        for metadata in [json!(null), json!({}), json!({"annotations": null}), json!({"annotations": {}})] {
            template["metadata"] = metadata;
            let (result, _) = injected(&deployment(&template), &Settings::default());
            let template = &result["spec"]["template"];
            assert_eq!(names(&template["spec"]["initContainers"]), ["sidekey"]);
            assert_eq!(template["metadata"]["annotations"].as_object().unwrap().len(), 1);
        }
    }
}

#[test]
fn pod_decides_whether_it_is_injected() {
    let only = Settings { only_if_enabled: true, ..Settings::default() };
    let with = |annotation: Option<&str>, label: Option<&str>, settings: &Settings| {
        let mut template = app();
        let map =
            |value: Option<&str>| value.map_or(json!({}), |value| json!({ "sidekey.io/inject": value }));
        template["metadata"] = json!({"annotations": map(annotation), "labels": map(label)});
        match decide_by(&deployment(&template), settings) {
            Decision::Inject(_) => None,
            Decision::Skip(refusal) => Some(refusal),
            Decision::AlreadyInjected => panic!("not injected yet"),
        }
    };
    assert_eq!(with(None, None, &Settings::default()), None);
    assert_eq!(with(None, None, &only), Some(Refusal::NotEnabled));
    assert_eq!(with(Some("enabled"), None, &only), None);
    assert_eq!(with(None, Some("enabled"), &only), None);
    assert_eq!(with(Some("disabled"), Some("enabled"), &only), Some(Refusal::Disabled));
    assert_eq!(with(None, Some("disabled"), &Settings::default()), Some(Refusal::Disabled));
}

#[test]
fn object_without_a_pod_is_skipped() {
    for (object, refusal) in [
        (json!({"apiVersion": "v1", "kind": "Service", "spec": {}}), Refusal::NoPod),
        (json!({"apiVersion": "v1", "kind": "Pod"}), Refusal::NoContainers),
        (deployment(&json!({})), Refusal::NoContainers),
        (deployment(&json!({"spec": {"containers": []}})), Refusal::NoContainers),
        (json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": null}), Refusal::NoContainers),
    ] {
        assert_eq!(decide_by(&object, &Settings::default()), Decision::Skip(refusal), "{object}");
    }
}

#[test]
fn pod_of_wrong_form_is_an_error() {
    for (path, wrong) in [
        ("volumes", json!({})),
        ("initContainers", json!("x")),
        ("containers", json!(["app"])),
        ("containers", json!([{"name": "app", "env": {}}])),
    ] {
        let mut template = app();
        template["spec"][path] = wrong;
        let error = decide(&deployment(&template), &Settings::default(), None).unwrap_err();
        assert!(matches!(error, InjectError::Form(..)), "{path}: {error}");
    }
    let mut template = app();
    template["metadata"] = json!({"annotations": ["x"]});
    assert!(decide(&deployment(&template), &Settings::default(), None).is_err());
}

#[test]
fn warnings_name_what_has_no_effect() {
    let mut object = deployment(&app());
    object["metadata"] = json!({"annotations": {"sidekey.io/inject": "disabled"}});
    object["spec"]["template"]["spec"]["shareProcessNamespace"] = true.into();
    object["spec"]["template"]["metadata"] = json!({"annotations": {"sidekey.io/wait-before-exit": "5s"}});
    let (_, injection) = injected(&object, &Settings::default());
    assert_eq!(injection.warnings.len(), 3, "{:?}", injection.warnings);
}
