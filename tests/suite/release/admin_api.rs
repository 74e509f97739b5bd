//! docs/ADMIN_API.md has every operation of the admin API, and no other.

use std::collections::BTreeSet;
use std::fs;

use super::artefacts::root;
use crate::harness::{MockUpstream, Request, Sidekey};
use crate::suite::reload::setup::bearer;

#[tokio::test]
async fn admin_api_page_has_the_operations_of_the_program() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&bearer("api", &upstream, "t")).start().await;
    let document = Request::get(sidekey.admin_url("/api/v1/openapi.json")).send().await.json();
    let paths = document["paths"].as_object().unwrap().iter();
    let of = |(path, item): (&String, &serde_json::Value)| {
        let methods =
            item.as_object().unwrap().keys().filter(|key| ["get", "post", "put"].contains(&key.as_str()));
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    let program: BTreeSet<_> = paths.flat_map(of).collect();
    let page = fs::read_to_string(root().join("docs/ADMIN_API.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<_> = rows.map(str::to_owned).collect();
    assert_eq!(documented, program);
}
