"""A gRPC server of all four call kinds, over bytes. Arguments: a certificate and a key for TLS, or none.

Writes its port, then serves until it is ended. Calls without `authorization: Bearer t0ken` are refused.
"""
import sys
import threading
from concurrent import futures

import grpc

cancelled = threading.Semaphore(0)
count = [0]
lock = threading.Lock()


def admit(context):
    seen = dict(context.invocation_metadata())
    if seen.get("authorization") != "Bearer t0ken":
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no credential")
    context.send_initial_metadata((("x-initial", "1"), ("x-initial-bin", b"\x00\xff")))
    context.set_trailing_metadata((("x-trailing", seen.get("x-ask", "")), ("x-trailing-bin", b"\xff\x00")))


def watch(context):
    def ended():
        with lock:
            count[0] += 1
    context.add_callback(ended)


def unary(request, context):
    admit(context)
    return request


def down(request, context):
    admit(context)
    for number in range(int(request)):
        yield b"message %d" % number


def up(requests, context):
    admit(context)
    return b"%d" % sum(len(request) for request in requests)


def both(requests, context):
    admit(context)
    for request in requests:
        yield b"re: " + request


def fail(request, context):
    admit(context)
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing ünder this name: 100%")


def half(request, context):
    admit(context)
    yield b"one"
    context.abort(grpc.StatusCode.DATA_LOSS, "half")


def hang(request, context):
    admit(context)
    over = threading.Event()
    watch(context)
    context.add_callback(over.set)
    over.wait(30)
    return b""


def ended(request, context):
    admit(context)
    return b"%d" % count[0]


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Half": grpc.unary_stream_rpc_method_handler(half),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Ended": grpc.unary_unary_rpc_method_handler(ended),
}
server = grpc.server(futures.ThreadPoolExecutor(40), options=[("grpc.max_receive_message_length", -1)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
if len(sys.argv) > 2:
    with open(sys.argv[1], "rb") as certificate, open(sys.argv[2], "rb") as key:
        credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
    port = server.add_secure_port("127.0.0.1:0", credentials)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("port", port, flush=True)
server.wait_for_termination()
