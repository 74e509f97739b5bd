"""Calls by httpx over HTTP/2 alone: argument: the URL of a service. Writes what came of them, as JSON."""
import json
import sys

import httpx

url = sys.argv[1]
with httpx.Client(http1=False, http2=True, trust_env=False, timeout=20) as client:
    answers = [client.get(url + "/get?a=%20&b", cookies={"a": "1", "b": "2"}), client.head(url + "/x")]
    answers.append(client.post(url + "/x", content=b"x" * 300_000))
    answers.append(client.post(url + "/x", content=(b"y" * 1000 for _ in range(50))))
    with client.stream("GET", url + "/x") as streamed:
        length = sum(len(part) for part in streamed.iter_raw())
seen = [[answer.http_version, answer.status_code, len(answer.content)] for answer in answers]
json.dump(seen + [[streamed.http_version, streamed.status_code, length]], sys.stdout)
