//! The sections of the document: each is one that a test runs.

use super::document::sections;

#[test]
fn documented_sections_are_all_tested() {
    let expected = [
        "When a base URL is not enough",
        "The CA, for `HTTPS_PROXY`",
        "curl",
        "Python",
        "Node",
        "Java",
        "Go",
        "S3",
        "boto3",
        "npm",
        "pip",
        "skopeo",
        "octokit",
        "git",
    ];
    assert_eq!(sections(), expected);
}
