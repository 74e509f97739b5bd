"""boto3 on S3 and SQS, at the endpoints of the arguments. Prints what came back as JSON."""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3_url, sqs_url = sys.argv[1:]
KEYS = ["plain", "JULY 27 TO 31.zip", "mac@2x.png", "x_$folder$", "a+b=c&d", "\u1234/\u00e9", "a//b", "100%"]

s3 = boto3.client("s3", endpoint_url=s3_url, config=Config(s3={"addressing_style": "path"}))
results = {}
try:
    for key in KEYS:
        for size in [0, 10, 200_000]:
            body = b"x" * size
            s3.put_object(Bucket="bucket", Key=key, Body=body, Metadata={"two": "words  here"})
            answer = s3.get_object(Bucket="bucket", Key=key)
            assert answer["Body"].read() == body and answer["Metadata"]["two"].split() == ["words", "here"]
        s3.head_object(Bucket="bucket", Key=key)
        assert s3.list_objects_v2(Bucket="bucket", Prefix=key)["KeyCount"] == 1, key
        s3.copy_object(Bucket="bucket", Key=key + " copy", CopySource={"Bucket": "bucket", "Key": key})
        s3.delete_object(Bucket="bucket", Key=key)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "plain copy"})
    import urllib.request

    assert len(urllib.request.urlopen(url).read()) == 200_000
    results["s3"] = "ok"
except ClientError as error:
    results["s3"] = str(error)
try:
    sqs = boto3.client("sqs", endpoint_url=sqs_url)
    queue = sqs.create_queue(QueueName="queue")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="a message")
    messages = sqs.receive_message(QueueUrl=queue)["Messages"]
    results["sqs"] = messages[0]["Body"]
except ClientError as error:
    results["sqs"] = str(error)
print(json.dumps(results))
