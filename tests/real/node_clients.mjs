// The same calls with Node's own fetch, or with undici where a proxy is set, by one way in; see harness/real/clients.rs.
// Standard input: {"base": URL, "authorization": TEXT or null}. Standard output: {client: [result of every call]}.
import { createHash } from 'node:crypto';
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';

const input = [];
for await (const chunk of process.stdin) input.push(chunk);
const { base, authorization } = JSON.parse(Buffer.concat(input));
const own = authorization ? { authorization } : {};
// By itself it asks for Brotli where the URL begins with https:, and not elsewhere.
const encoding = { 'accept-encoding': 'gzip' };
const sha256 = (body) => createHash('sha256').update(body).digest('hex');
const kept = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'server']);
const body = Buffer.alloc(300_000, 'node');
const calls = [
  ['GET', '/echo?q=a%20b&q=c+d&empty=&x=%2F%3F'],
  ['GET', '/echo/a%2Fb/%C3%A9;p=1/~x', { 'x-own': 'mine' }],
  ['POST', '/echo', { 'content-type': 'application/octet-stream' }, body],
  ['HEAD', '/echo'],
  ['DELETE', '/none'],
  ['GET', '/gzip'],
  ['GET', '/range', { range: 'bytes=100-1999' }],
  ['GET', '/redirect'],
];

async function all(fetch, options) {
  const results = [];
  for (const [method, path, headers = {}, content] of calls) {
    const answer = await fetch(base + path, { method, headers: { ...own, ...encoding, ...headers }, body: content, ...options });
    const bytes = Buffer.from(await answer.arrayBuffer());
    results.push({
      status: answer.status,
      headers: [...answer.headers].filter(([name]) => !kept.has(name)).sort(),
      length: bytes.length,
      sha256: sha256(bytes),
      text: bytes.length < 4000 ? bytes.toString() : null,
    });
  }
  return results;
}

const isProxied = process.env.HTTP_PROXY || process.env.HTTPS_PROXY;
const results = isProxied
  ? { undici: await all(undiciFetch, { dispatcher: new EnvHttpProxyAgent() }) }
  : { fetch: await all(fetch), undici: await all(undiciFetch) };
process.stdout.write(JSON.stringify(results));
process.exit(0);
