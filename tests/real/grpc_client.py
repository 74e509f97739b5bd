"""Makes calls of every kind to the gRPC server at an address and writes what came of each, as JSON."""
import json
import queue
import sys
import time
from concurrent import futures

import grpc

address, authorization = sys.argv[1:3]
channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
metadata = (("authorization", authorization), ("x-ask", "7"))
seen = {}


def said(call):
    keep = lambda all: sorted((k, v if isinstance(v, str) else v.hex()) for k, v in all or () if k.startswith("x-"))
    return [call.code().name, call.details(), keep(call.initial_metadata()), keep(call.trailing_metadata())]


def unary(method, request, timeout=20):
    stub = channel.unary_unary("/test.Service/" + method)
    try:
        answer, call = stub.with_call(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        return [None, error.code().name, error.details()]
    return [len(answer) if len(answer) > 100 else answer.decode(), said(call)]


def failing(method, request, timeout=20):
    try:
        channel.unary_unary("/test.Service/" + method).with_call(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        return said(error)


seen["unary"] = unary("Unary", b"hello")
seen["empty"] = unary("Unary", b"")
seen["large"] = unary("Unary", bytes(3_000_000))
call = channel.unary_stream("/test.Service/Down")(b"500", timeout=20, metadata=metadata)
messages = [message.decode() for message in call]
seen["down"] = [len(messages), messages[-1], said(call)]
answer, call = channel.stream_unary("/test.Service/Up").with_call(
    iter([bytes(10_000)] * 100), timeout=20, metadata=metadata)
seen["up"] = [answer.decode(), said(call)]

# Turn by turn: each message is sent only when the one before was answered.
turns = queue.Queue()
call = channel.stream_stream("/test.Service/Both")(iter(turns.get, None), timeout=20, metadata=metadata)
heard = []
for turn in range(20):
    turns.put(b"turn %d" % turn)
    heard.append(next(call).decode())
turns.put(None)
seen["both"] = [heard, list(call), said(call)]

seen["fail"] = failing("Fail", b"x")
seen["unknown"] = failing("Nothing", b"x")[:1]
call = channel.unary_stream("/test.Service/Half")(b"x", timeout=20, metadata=metadata)
first = next(call).decode()
try:
    next(call)
except grpc.RpcError as error:
    seen["half"] = [first, said(error)]

# A deadline and a cancellation: the server must hear of both.
seen["deadline"] = failing("Hang", b"x", timeout=0.5)[0]
call = channel.unary_unary("/test.Service/Hang").future(b"x", timeout=20, metadata=metadata)
time.sleep(0.5)
call.cancel()
seen["cancelled"] = call.cancelled()
deadline = time.monotonic() + 15
while (ended := unary("Ended", b"")[0]) != "2" and time.monotonic() < deadline:
    time.sleep(0.05)
seen["ended at the server"] = ended

with futures.ThreadPoolExecutor(20) as pool:
    answers = list(pool.map(lambda number: unary("Unary", b"%d" % number)[0], range(200)))
seen["many"] = answers == [str(number) for number in range(200)]
json.dump(seen, sys.stdout)
