// A WebSocket by HTTP/2 (RFC 8441) with Node's own stack, frame by frame; see harness/real/clients.rs. Takes origin and path,
// and writes what came back as JSON.
import http2 from "node:http2";

const [origin, path] = process.argv.slice(2);
const session = http2.connect(origin);
session.on("error", (error) => { throw error; });
await new Promise((resolve) => session.on("remoteSettings", resolve));
if (!session.remoteSettings.enableConnectProtocol) throw new Error("no extended CONNECT is offered");

// RFC 6455 §5.2: one masked frame, whole.
function frame(opcode, text) {
  const payload = Buffer.from(text, "latin1");
  const mask = Buffer.from([1, 2, 3, 4]);
  const head = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), mask, payload.map((byte, at) => byte ^ mask[at % 4])]);
}

const stream = session.request({
  ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13",
}, { endStream: false });
const status = await new Promise((resolve, reject) => {
  stream.on("response", (head) => resolve(head[":status"]));
  stream.on("error", reject);
});
let seen = Buffer.alloc(0);
const messages = [];
const ended = new Promise((resolve) => stream.on("end", resolve));
stream.on("data", (data) => {
  seen = Buffer.concat([seen, data]);
  for (;;) {
    if (seen.length < 2) return;
    const short = seen[1] & 127;
    const from = short === 126 ? 4 : 2;
    if (seen.length < from) return;
    const length = short === 126 ? seen.readUInt16BE(2) : short;
    if (seen.length < from + length) return;
    messages.push([seen[0] & 15, seen.subarray(from, from + length).toString("latin1")]);
    seen = seen.subarray(from + length);
  }
});
stream.write(frame(1, "hello"));
stream.write(frame(1, "x".repeat(20000)));
stream.write(frame(8, "\x03\xe8"));
await ended;
stream.end();
console.log(JSON.stringify({ status, messages: messages.map(([opcode, text]) => [opcode, text.length > 100 ? text.length : text]) }));
session.close();
