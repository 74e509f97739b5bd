//! Services of AWS.

use super::NONE;
use crate::suite::presets::rules::{Provider, Rule};

pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "aws-bedrock",
        answers: &[("region", "eu-central-1")],
        secrets: &[("access_key_id", "AKIASAMPLE"), ("secret_access_key", "aws-secret-sample")],
        host: "bedrock-runtime.eu-central-1.amazonaws.com",
        target: "/async-invoke",
        rules: &[Rule::AwsSignature("AKIASAMPLE", "aws-secret-sample", "eu-central-1/bedrock")],
        rejects: (403, r#"{"message":"The security token included in the request is invalid."}"#),
        ..NONE
    },
    Provider {
        id: "aws-s3",
        answers: &[("region", "eu-west-1")],
        secrets: &[("access_key_id", "AKIASAMPLE"), ("secret_access_key", "aws-secret-sample")],
        host: "s3.eu-west-1.amazonaws.com",
        rules: &[Rule::AwsSignature("AKIASAMPLE", "aws-secret-sample", "eu-west-1/s3")],
        rejects: (403, "<Error><Code>SignatureDoesNotMatch</Code></Error>"),
        ..NONE
    },
];
