"""boto3 on S3 with the bucket in the host, through the proxy of the argument. Prints the hosts' results as JSON."""

import json
import sys

import boto3
from botocore.config import Config

(proxy,) = sys.argv[1:]
config = Config(s3={"addressing_style": "virtual"}, proxies={"http": proxy}, retries={"max_attempts": 0})
s3 = boto3.client("s3", endpoint_url="http://s3.eu-west-1.amazonaws.com", config=config)
results = {}
for bucket in ["bucket", "second"]:
    try:
        if bucket == "second":
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for key in ["plain", "mac@2x.png", "a+b=c&d", "\u1234/\u00e9", "100%"]:
            for size in [0, 10, 200_000]:
                body = bucket[0].encode() * size
                s3.put_object(Bucket=bucket, Key=key, Body=body)
                assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
            assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 1, key
            s3.delete_object(Bucket=bucket, Key=key)
        results[bucket] = "ok"
    except Exception as error:
        results[bucket] = repr(error)
print(json.dumps(results))
