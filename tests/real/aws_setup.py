"""Makes a bucket, a user with a key, and a role, at the URL of the argument. Prints the account as JSON."""

import json
import sys

import boto3

options = {
    "endpoint_url": sys.argv[1],
    "region_name": "eu-west-1",
    "aws_access_key_id": "setup",
    "aws_secret_access_key": "setup",
}
everything = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
iam = boto3.client("iam", **options)
user = iam.create_user(UserName="app")["User"]
key = iam.create_access_key(UserName="app")["AccessKey"]
iam.put_user_policy(UserName="app", PolicyName="everything", PolicyDocument=everything)
trust = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": user["Arn"]}}],
    }
)
role = iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust)["Role"]
iam.put_role_policy(RoleName="app", PolicyName="everything", PolicyDocument=everything)
region = {"LocationConstraint": "eu-west-1"}
boto3.client("s3", **options).create_bucket(Bucket="bucket", CreateBucketConfiguration=region)
boto3.client("secretsmanager", **options).create_secret(Name="prod/crm", SecretString=json.dumps({"token": "one"}))
print(
    json.dumps(
        {
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
            "role_arn": role["Arn"],
        }
    )
)
