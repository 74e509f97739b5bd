"""Verifies RFC 9421 signatures of recorded requests with http-message-signatures.

Standard input: {"requests": [{"method", "url", "target", "fields": [[name, value]], "body" (base64), "algorithm", "key" (PEM, or base64
of a shared key), "key_id"}]}. Standard output: for each request what the signature covers, or the error.
"""

import base64
import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

ALGORITHMS = {
    "hmac-sha256": algorithms.HMAC_SHA256,
    "ed25519": algorithms.ED25519,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "ecdsa-p384-sha384": algorithms.ECDSA_P384_SHA384,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
}


class Fields:
    """Field lines in their order, under names that may be there twice."""

    def __init__(self, lines):
        self.lines = lines

    def items(self):
        return list(self.lines)

    def __iter__(self):
        return iter(name for name, _ in self.lines)

    def __contains__(self, name):
        return any(known.lower() == name.lower() for known, _ in self.lines)

    def __getitem__(self, name):
        return ", ".join(value for known, value in self.lines if known.lower() == name.lower())

    def get(self, name, default=None):
        return self[name] if name in self else default


class Message:
    def __init__(self, request):
        self.method = request["method"]
        self.url = request["url"]
        self.request_target = request["target"]
        self.headers = Fields([tuple(line) for line in request["fields"]])


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, request):
        self.request = request

    def resolve_public_key(self, key_id):
        assert key_id == self.request["key_id"], key_id
        if self.request["algorithm"] == "hmac-sha256":
            return base64.b64decode(self.request["key"])
        return load_pem_private_key(self.request["key"].encode(), None).public_key()


def verify(request):
    verifier = HTTPMessageVerifier(
        signature_algorithm=ALGORITHMS[request["algorithm"]], key_resolver=Keys(request)
    )
    message = Message(request)
    results = verifier.verify(message)
    body = base64.b64decode(request["body"])
    if body:
        results = verifier.verify_body(message, results, body)
    (result,) = results
    return {
        "covered": result.covered_components,
        "parameters": result.parameters,
        "label": result.label,
        "body": result.body is not None,
    }


def main():
    answers = []
    for request in json.load(sys.stdin)["requests"]:
        try:
            answers.append(verify(request))
        except Exception as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(answers, sys.stdout)


main()
