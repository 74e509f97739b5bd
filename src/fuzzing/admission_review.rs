//! The property of reviews: a request is answered with its `uid`, and a pod is allowed or denied. A patch can be applied, adds one
//! sidecar, and a review of the result changes nothing. What a user is shown is one line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::inject::{CONTAINER, NativeSidecar, Operation, ProxyEnv, Settings, apply};
use crate::webhook::fuzzing::respond;

/// Longest text in a response, in characters.
const MAX_TEXT_CHARACTERS: usize = 1024;

/// Checks the property on the body of a request.
pub fn admission_review(body: &[u8]) {
    let classic =
        Settings { proxy_env: ProxyEnv::All, native_sidecar: NativeSidecar::Never, ..Settings::default() };
    for settings in [Settings::default(), classic] {
        with_settings(body, &settings);
    }
}

fn with_settings(body: &[u8], settings: &Settings) {
    let answer = match respond(body, settings) {
        Ok(answer) => answer,
        Err(why) => return assert_one_line(&why),
    };
    // A second reader: it knows no fields.
    let mut review: Value = serde_json::from_slice(body).expect("what was answered is JSON");
    let response = &answer["response"];
    assert_eq!(response["uid"], review["request"]["uid"]);
    for warning in response["warnings"].as_array().into_iter().flatten() {
        assert_one_line(warning.as_str().expect("a text"));
    }
    if response["allowed"] == false {
        assert!(response.get("patch").is_none() && response.get("patchType").is_none());
        assert!([400, 403].map(Value::from).contains(&response["status"]["code"]), "{response}");
        return assert_one_line(response["status"]["message"].as_str().expect("a text"));
    }
    assert_eq!(response["allowed"], true);
    let Some(patch) = response.get("patch") else { return };
    assert_eq!(response["patchType"], "JSONPatch");
    let operations = operations(patch);
    let pod = &mut review["request"]["object"];
    apply(pod, &operations).expect("a patch can be applied");
    assert_eq!(sidecars(pod), 1, "{pod}");
    let again = respond(review.to_string().as_bytes(), settings).expect("a review");
    assert_eq!(again["response"]["allowed"], true, "{again}");
    assert!(again["response"].get("patch").is_none(), "a second review changes nothing: {again}");
}

/// The operations of a patch, as the API server reads them.
fn operations(encoded: &Value) -> Vec<Operation> {
    let bytes = STANDARD.decode(encoded.as_str().expect("a text")).expect("base64");
    let operations: Vec<Value> = serde_json::from_slice(&bytes).expect("JSON Patch");
    let read = |operation: Value| {
        let (path, value) =
            (operation["path"].as_str().expect("a path").to_owned(), operation["value"].clone());
        match operation["op"].as_str() {
            Some("add") => Operation::Add { path, value },
            Some("replace") => Operation::Replace { path, value },
            other => panic!("operation {other:?}"),
        }
    };
    operations.into_iter().map(read).collect()
}

/// The number of containers with the name of the sidecar.
fn sidecars(pod: &Value) -> usize {
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    lists.flatten().filter(|container| container["name"] == CONTAINER).count()
}

fn assert_one_line(text: &str) {
    assert!(!text.contains(char::is_control) && text.chars().count() <= MAX_TEXT_CHARACTERS, "{text:?}");
}
