"""Makes the HTTP calls that standard input lists as JSON, in one session of requests; see harness/real/requests.rs."""

import hashlib
import json
import random
import sys

import requests


def main():
    session = requests.Session()
    results = []
    for call in json.load(sys.stdin):
        body = call.get("text")
        if "random_bytes" in call:
            body = random.Random(call["seed"]).randbytes(call["random_bytes"])
        response = session.request(call["method"], call["url"], headers=call.get("headers"), data=body, timeout=50)
        sent = response.request.body or b""
        results.append(
            {
                "status": response.status_code,
                "headers": dict(response.headers),
                "length": len(response.content),
                "sha256": hashlib.sha256(response.content).hexdigest(),
                "sent_sha256": hashlib.sha256(sent.encode() if isinstance(sent, str) else sent).hexdigest(),
                "text": response.text if len(response.content) < 10_000 else None,
            }
        )
    json.dump(results, sys.stdout)


main()
