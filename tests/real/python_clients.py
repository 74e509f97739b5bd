"""The same calls with requests, httpx and aiohttp, and a WebSocket, by one way in; see harness/real/clients.rs.

Standard input: {"base": URL, "ws": URL, "authorization": TEXT or null}. Proxies and CAs come by the environment, as an app has
them. Standard output: {client: [result of every call]}."""

import asyncio
import hashlib
import json
import os
import random
import ssl
import sys

import aiohttp
import httpx
import requests
import websockets
from yarl import URL

BODY = random.Random(7).randbytes(300_000)
# Method, path, headers, body. Every client makes every one, without the cookies of the one before: whether they are sent again hangs on
# the host that the client sees.
CALLS = [
    ("GET", "/echo?q=a%20b&q=c+d&empty=&x=%2F%3F", {}, None),
    ("GET", "/echo/a%2Fb/%C3%A9;p=1/~x", {"X-Own": "mine", "Accept-Language": "de"}, None),
    ("POST", "/echo", {"Content-Type": "application/octet-stream"}, BODY),
    ("PUT", "/echo", {"Content-Type": "text/plain"}, b""),
    ("HEAD", "/echo", {}, None),
    ("OPTIONS", "/echo", {}, None),
    ("PATCH", "/echo", {"Content-Type": "application/json"}, b'{"a": 1}'),
    ("DELETE", "/none", {}, None),
    ("GET", "/gzip", {}, None),
    ("GET", "/range", {"Range": "bytes=100-1999"}, None),
    ("GET", "/redirect", {}, None),
]
# What differs between any two answers, and what belongs to the connection.
OWN = {"date", "connection", "keep-alive", "transfer-encoding", "content-length", "server"}


def result(status, headers, body):
    kept = sorted([name.lower(), value] for name, value in headers if name.lower() not in OWN)
    text = body.decode("utf-8", "replace") if len(body) < 4000 else None
    return {"status": status, "headers": kept, "length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "text": text}


def with_requests(base, own):
    session = requests.Session()
    results = []
    for method, path, headers, body in CALLS:
        session.cookies.clear()
        answer = session.request(method, base + path, headers={**own, **headers}, data=body, timeout=30)
        results.append(result(answer.status_code, answer.raw.headers.items(), answer.content))

    session.cookies.clear()

    def pieces():
        for start in range(0, len(BODY), 70_000):
            yield BODY[start : start + 70_000]

    answer = session.post(base + "/echo", headers=own, data=pieces(), timeout=30)
    results.append(result(answer.status_code, answer.raw.headers.items(), answer.content))
    with session.get(base + "/events", headers=own, stream=True, timeout=30) as stream:
        lines = []
        for line in stream.iter_lines(chunk_size=1):
            if line:
                lines.append(line.decode())
                session.post(base + "/seen", headers=own, timeout=30)
    results.append({"events": lines})
    return results


def with_httpx(base, own):
    results = []
    with httpx.Client(timeout=30, follow_redirects=True, headers=own, verify=context()) as client:
        for method, path, headers, body in CALLS:
            client.cookies.clear()
            answer = client.request(method, base + path, headers=headers, content=body)
            results.append(result(answer.status_code, answer.headers.multi_items(), answer.content))
    return results


async def with_aiohttp(base, own):
    results = []
    connector = aiohttp.TCPConnector(ssl=context())
    async with aiohttp.ClientSession(
        trust_env=True, headers=own, connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        for method, path, headers, body in CALLS:
            url = URL(base + path, encoded=True)
            async with session.request(method, url, headers=headers, data=body) as answer:
                results.append(result(answer.status, answer.headers.items(), await answer.read()))
    return results


async def with_websockets(url, own):
    tls = context() if url.startswith("wss:") else None
    async with websockets.connect(url, additional_headers=own, ssl=tls, max_size=None) as socket:
        results = [[extension.name for extension in socket.protocol.extensions]]
        for message in ["hello", "wörld " * 50_000, BODY]:
            await socket.send(message)
            answer = await socket.recv()
            expected = message if isinstance(message, bytes) else message[::-1]
            results.append(answer == expected)
        pong = await socket.ping()
        await asyncio.wait_for(pong, 30)
    results.append(socket.close_code)
    return results


def context():
    """The CA that the environment names, as requests has it by REQUESTS_CA_BUNDLE."""
    return ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))


def main():
    task = json.load(sys.stdin)
    base, own = task["base"], {}
    if task["authorization"]:
        own["Authorization"] = task["authorization"]
    results = {
        "requests": with_requests(base, own),
        "httpx": with_httpx(base, own),
        "aiohttp": asyncio.run(with_aiohttp(base, own)),
        "websockets": asyncio.run(with_websockets(task["ws"], own)),
    }
    json.dump(results, sys.stdout)


main()
