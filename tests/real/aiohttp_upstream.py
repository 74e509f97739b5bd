"""An API on aiohttp, over TLS, under /v2: it says what it was asked, byte for byte, and refuses a wrong credential.

Prints its port as one line of JSON. CERTIFICATE and KEY name PEM files."""

import asyncio
import hashlib
import json
import os
import ssl

from aiohttp import WSMsgType, web

CREDENTIAL = "Bearer t0ken"


@web.middleware
async def guarded(request, handler):
    if request.headers.getall("Authorization", []) != [CREDENTIAL]:
        return web.json_response({"error": "credential"}, status=401)
    return await handler(request)


async def echo(request):
    body = await request.read()
    # What belongs to the connection is the proxy's own.
    headers = sorted(
        [name.decode(), value.decode()]
        for name, value in request.raw_headers
        if name.lower() not in (b"connection", b"keep-alive", b"transfer-encoding", b"content-length")
    )
    answer = {
        "method": request.method,
        "target": request.raw_path,
        "headers": headers,
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    response = web.json_response(answer, headers={"X-Twice": "1", "ETag": '"v1"'})
    response.headers.add("X-Twice", "2")
    response.set_cookie("session", "abc")
    return response


async def gzipped(_request):
    response = web.Response(text="compressible " * 1000)
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def large(_request):
    return web.Response(body=bytes(range(256)) * 20_000)


async def redirect(request):
    raise web.HTTPFound(f"https://{request.host}/v2/echo?after=redirect")


async def ranged(request):
    content = bytes(range(256)) * 16
    part = request.http_range
    start, stop = part.start or 0, part.stop or len(content)
    headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
    return web.Response(status=206, body=content[start:stop], headers=headers)


async def events(request):
    """Each event waits for the one before it to be seen: `POST /v2/seen` lets the next go."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(3):
        await response.write(f"data: {number}\n\n".encode())
        await request.app["seen"].get()
    return response


async def seen(request):
    request.app["seen"].put_nowait(None)
    return web.Response(status=204)


async def websocket(request):
    socket = web.WebSocketResponse(compress=True, max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data[::-1])
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def main():
    app = web.Application(middlewares=[guarded], client_max_size=64 * 1024 * 1024)
    app["seen"] = asyncio.Queue()
    app.router.add_route("*", "/v2/echo", echo)
    app.router.add_route("*", "/v2/echo/{rest:.*}", echo)
    app.router.add_get("/v2/gzip", gzipped)
    app.router.add_get("/v2/large", large)
    app.router.add_get("/v2/redirect", redirect)
    app.router.add_get("/v2/range", ranged)
    app.router.add_get("/v2/events", events)
    app.router.add_post("/v2/seen", seen)
    app.router.add_get("/v2/ws", websocket)
    app.router.add_delete("/v2/none", seen)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
