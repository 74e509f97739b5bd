#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::settings::{NativeSidecar, ProxyEnv, Settings};
use super::*;
use crate::inject::Refusal;

fn classic_with_proxy() -> Settings {
    Settings { native_sidecar: NativeSidecar::Never, proxy_env: ProxyEnv::Http, ..Settings::default() }
}

fn all_settings() -> [Settings; 3] {
    [
        Settings::default(),
        Settings { proxy_env: ProxyEnv::All, secrets: Vec::new(), ..Settings::default() },
        classic_with_proxy(),
    ]
}

/// Injects, and checks that a second time changes nothing and that the text is restored.
fn injected(text: &str, settings: &Settings) -> String {
    let manifest = inject(text, settings).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let again = inject(&manifest.text, settings).unwrap();
    assert_eq!(again.text, manifest.text);
    assert!(again.objects.iter().all(|object| object.outcome != Outcome::Injected));
    assert_eq!(uninject(&manifest.text).unwrap().text, text);
    manifest.text
}

/// The lines of a text that another does not have, in order.
fn added<'t>(before: &str, after: &'t str) -> Vec<&'t str> {
    let mut before = before.lines().peekable();
    let is_new = |line: &&str| before.next_if_eq(line).is_none();
    after.lines().filter(is_new).collect()
}

const DEPLOYMENT: &str = "\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}   # flow, and spaces\u{20}\u{20}
spec:
  template:
    spec:
      # One container.
      containers:
      # The app.
      - name: shop
        image: 'shop:1'
        args: [\"a\",   b]
        command:
        - |
          echo \"# no comment\"

      restartPolicy: Always
";

#[test]
fn text_gets_lines_and_keeps_every_byte() {
    let text = injected(DEPLOYMENT, &Settings::default());
    let new = added(DEPLOYMENT, &text);
    assert_eq!(text.lines().count(), DEPLOYMENT.lines().count() + new.len(), "no line was changed");
    assert_eq!(
        new[..4],
        [
            "    metadata:",
            "      annotations:",
            concat!("        sidekey.io/injected: \"", env!("CARGO_PKG_VERSION"), "\""),
            "      initContainers:"
        ]
    );
    assert_eq!(new[4], "        - name: sidekey");
}

#[test]
fn classic_sidecar_stands_above_comments_of_the_first_container() {
    let text = injected(DEPLOYMENT, &classic_with_proxy());
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
    assert!(
        at("containers:") < at("      - name: sidekey\n") && at("      - name: sidekey\n") < at("# The app.")
    );
    assert!(at("- name: shop\n        env:\n          - name: HTTP_PROXY\n") < at("image: 'shop:1'"));
}

/// Closing brackets that are indented as little as their keys.
const BRACKETS: &str = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    args: [\n      \"a\", # first\n      \"b\"\n    ]\n    command: [\n      'c'\n\n    ]\n  volumes: [\n    { name: 'v', emptyDir: {} }\n  ]\n";

#[test]
fn forms_of_yaml_are_injected_and_restored() {
    for (name, text) in [
        ("CRLF", DEPLOYMENT.replace('\n', "\r\n")),
        ("byte order mark", format!("\u{feff}{DEPLOYMENT}")),
        ("no line feed at the end", DEPLOYMENT.trim_end().to_owned()),
        ("several documents", format!("---\n{DEPLOYMENT}--- # two\n{DEPLOYMENT}...\n---\n# nothing\n")),
        ("a directive", format!("%YAML 1.2\n---\n{DEPLOYMENT}")),
        ("tabs in comments", DEPLOYMENT.replace("# One", "#\tOne\t")),
        ("an anchor", DEPLOYMENT.replace("spec:\n      #", "spec: &pod # it\n      #")),
        ("flow style", "{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: a}]}}".to_owned()),
        ("JSON", r#"{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{"containers":[{"name":"a"}]}}"#.to_owned()),
        (
            "JSON on several lines",
            "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n  \"spec\": {\n    \"containers\": [\n      {\n        \
             \"name\": \"a\"\n      }\n    ],\n    \"volumes\": []\n  }\n}\n"
                .to_owned(),
        ),
        (
            "empty parts",
            "apiVersion: v1\nkind: Pod\nmetadata: # none\nspec:\n  initContainers: []  # none\n  volumes:\n  \
             containers:\n  - name: a\n    env: ~\n"
                .to_owned(),
        ),
        (
            "no mapping on the line of the dash",
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  -\n    name: a\n".to_owned(),
        ),
        ("brackets below their keys", BRACKETS.to_owned()),
        ("brackets below their keys, with CRLF", BRACKETS.replace('\n', "\r\n")),
        ("keys in quotes", "'apiVersion': v1\n\"kind\": Pod\n\"spec\":\n  \"containers\":\n    - 'name': a".to_owned()),
        (
            "own variables",
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: a\n    name: a\n    env:\n    # own\n    - \
             name: NO_PROXY\n      value: >-\n        corp.example,\n        10.1.1.1\n    - {name: no_proxy, value: \
             'x' } # y\n    - name: HTTPS_PROXY\n      value: http://corp.example\n"
                .to_owned(),
        ),
        (
            "a list",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec:\n    containers:\n    - \
                 name: a\n-\n  {}- {{kind: Service}}\n",
                DEPLOYMENT.replace('\n', "\n  ").trim_end_matches(' ')
            ),
        ),
        (
            "a typed list",
            "apiVersion: v1\nkind: PodList\nitems: [{spec: {containers: [{name: a}]}}]\n".to_owned(),
        ),
        (
            "existing lists",
            "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {a: b}\n  annotations:\n    # what for\n    a: b\nspec:\n  \
             volumes:\n      # data\n      - name: data\n        emptyDir: {}\n\n  initContainers: [{name: i}]\n  \
             containers:\n  - name: a\n"
                .to_owned(),
        ),
    ] {
        for settings in all_settings() {
            assert_ne!(injected(&text, &settings), text, "{name}");
        }
    }
}

#[test]
fn changed_manifest_is_restored_without_the_sidecar() {
    let text = injected(DEPLOYMENT, &classic_with_proxy());
    let later = text.replace("shop:1", "shop:2").replace(env!("CARGO_PKG_VERSION"), "0.0.9");
    assert_eq!(uninject(&later).unwrap().text, DEPLOYMENT.replace("shop:1", "shop:2"));
    let added =
        text.replace("      containers:\n", "      volumes2: []\n      containers:\n      - name: own\n");
    let restored = uninject(&added).unwrap().text;
    assert!(restored.contains("- name: own\n") && !restored.contains("sidekey"), "{restored}");
}

#[test]
fn list_with_one_wrong_object_has_no_result() {
    let wrong = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    sidekey.io/port: x\nspec:\n  \
                 containers:\n  - name: a\n";
    let error = inject(&format!("{DEPLOYMENT}---\n{wrong}"), &Settings::default()).unwrap_err();
    assert_eq!(error.to_string(), "line 20: pod/a: annotation `sidekey.io/port`: not a port: 1 to 65535");
}

#[test]
fn text_that_is_no_yaml_is_an_error_with_its_line() {
    for (text, line) in [
        ("a: 1\n---\nb: [\n", 4),
        ("a:\n\tb: 1\n", 2),
        ("a: 1\n---\n{{- if .Values.x }}\n", 3),
        ("a: b: c\n", 1),
    ] {
        let error = inject(text, &Settings::default()).unwrap_err();
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert_eq!(uninject(text).unwrap_err(), error);
        assert_eq!(error.problem.contains("helm template"), text.contains("{{"), "{error}");
    }
    assert!(inject(&"[".repeat(100_000), &Settings::default()).is_err());
    assert!(inject(&"{a: ".repeat(100_000), &Settings::default()).is_err());
    assert!(inject(&" ".repeat(MAX_SIZE + 1), &Settings::default()).is_err());
    let mut bomb = "b0: &b0 [x, x]\n".to_owned();
    for n in 1..40 {
        writeln!(bomb, "b{n}: &b{n} [*b{0}, *b{0}]", n - 1).unwrap();
    }
    assert!(inject(&bomb, &Settings::default()).is_err());
}

#[test]
fn text_without_a_place_is_an_error_and_not_changed() {
    for text in [
        "apiVersion: v1\nkind: Pod\nx: &spec\n  containers:\n  - name: a\nspec: *spec\n",
        "apiVersion: v1\nkind: Pod\nx: &base\n  containers:\n  - name: a\nspec:\n  <<: *base\n  volumes: &v\n  - name: a\ny: *v\n",
    ] {
        let error = inject(text, &Settings::default()).unwrap_err();
        assert!(error.problem.contains("alias"), "{error}");
    }
}

#[test]
fn template_that_happens_to_be_yaml_is_called_a_template() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Name }}\nx: &spec\n  containers:\n  - name: a\nspec: *spec\n";
    let error = inject(text, &Settings::default()).unwrap_err();
    assert!(error.problem.contains("rendered first"), "{error}");
}

#[test]
fn other_kinds_are_not_touched_and_named() {
    let text = "kind: Service\napiVersion: v1\nmetadata:\n  name: a\n---\n\n---\n- 1\n---\nkind: Secret\napiVersion: v1\n\
                type: a\ntype: b\n";
    let manifest = inject(text, &Settings::default()).unwrap();
    assert_eq!(manifest.text, text);
    let names: Vec<_> = manifest.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["service/a", "document on line 7", "secret/?"]);
    assert!(manifest.objects.iter().all(|object| object.outcome == Outcome::Skipped(Refusal::NoPod)));
    // What would be changed must be understood.
    let twice = format!("{DEPLOYMENT}spec: {{}}\n");
    assert!(inject(&twice, &Settings::default()).unwrap_err().problem.contains("duplicate"));
}

#[test]
fn record_that_was_changed_is_an_error() {
    let text = injected(DEPLOYMENT, &classic_with_proxy()).replace("{\"env\"", "{\"enw\"");
    let error = uninject(&text).unwrap_err();
    assert!(error.problem.contains("sidekey.io/restore"), "{error}");
}

/// One of several ways to write the same part.
fn one_of(ways: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(ways).prop_map(String::from)
}

/// A Pod template, at an indentation of two.
fn template() -> impl Strategy<Value = String> {
    let metadata = one_of(&[
        "",
        "metadata:\n",
        "metadata: {}\n",
        "metadata: {labels: {a: b}}\n",
        "metadata:\n  labels:\n    a: b\n",
        "metadata:\n  annotations:\n    a: b # c\n  labels: {}\n",
        "metadata:\n  annotations: {a: 'b'}\n",
        "metadata: # none\n  annotations: null\n",
        "metadata:\n  annotations:\n  # none\n  labels:\n",
    ]);
    let lists = one_of(&[
        "",
        "LIST:\n",
        "LIST: []\n",
        "LIST: ~ # none\n",
        "LIST: [{name: x}]\n",
        "LIST:\n- name: x\n  # c\n",
        "LIST:\n  # c\n  - # d\n    name: x\n\n",
    ]);
    let env = one_of(&[
        "",
        "env:\n",
        "env: []\n",
        "env: [ {name: NO_PROXY, value: \"a\"} ]\n",
        "env:\n- name: no_proxy\n  value: a,b # c\n- name: X\n  valueFrom: {fieldRef: {fieldPath: a}}\n",
        "env:\n  # own\n  - value: 'http://127.0.0.1:8080'\n    name: http_proxy\n  - {name: NO_PROXY}\n",
        "env:\n- name: NO_PROXY\n",
        "envFrom: [{configMapRef: {name: a}}]\n",
    ]);
    let container = env.prop_map(|env| format!("- name: a\n{}  image: a\n", indented(&env, 2)));
    let containers = prop::collection::vec(container, 1..3).prop_map(|all| {
        all.iter()
            .enumerate()
            .map(|(index, one)| one.replace("name: a\n", &format!("name: a{index}\n")))
            .collect::<String>()
    });
    let order = Just(vec![0, 1, 2]).prop_shuffle();
    (metadata, lists.clone(), lists, containers, order).prop_map(
        |(metadata, init, volumes, containers, order)| {
            let parts = [
                init.replace("LIST", "initContainers"),
                volumes.replace("LIST", "volumes"),
                format!("containers:\n{containers}"),
            ];
            let spec: String = order.into_iter().map(|part: usize| parts[part].as_str()).collect();
            format!("{metadata}spec: # it\n{}", indented(&spec, 2))
        },
    )
}

fn indented(text: &str, by: usize) -> String {
    text.split_inclusive('\n')
        .map(|line| if line == "\n" { line.into() } else { format!("{:by$}{line}", "") })
        .collect()
}

fn manifests() -> impl Strategy<Value = String> {
    let object = (template(), 0..4_usize).prop_map(|(template, kind)| match kind {
        0 => format!("apiVersion: v1\nkind: Pod\n{template}"),
        1 => format!("kind: Job\napiVersion: batch/v1\nspec:\n  template:\n{}", indented(&template, 4)),
        2 => format!(
            "# c\napiVersion: batch/v1\nkind: CronJob\nspec:\n  jobTemplate:\n    spec:\n      template:\n{}",
            indented(&template, 8)
        ),
        _ => format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  spec:\n    template:\n{}",
            indented(&template, 6)
        ),
    });
    let end = one_of(&["", "\n", "# end\n", "...\n"]);
    (prop::collection::vec(object, 1..3), any::<bool>(), any::<bool>(), end).prop_map(
        |(all, crlf, cut, end)| {
            let mut text = all.join("---\n");
            text.push_str(&end);
            let text = if cut { text.trim_end().to_owned() } else { text };
            if crlf { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn inject_is_idempotent_and_undone_for_any_manifest(text in manifests(), which in 0..3_usize) {
        injected(&text, &all_settings()[which]);
    }
}
