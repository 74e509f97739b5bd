// A certified OAuth2 server for tests, and an API that takes no other tokens than its own: both HTTPS on ports of
// the system's choosing, told in one line of JSON on standard output.
//
// Environment: CERTIFICATE, KEY (PEM files for localhost), NODE_EXTRA_CA_CERTS, TOKEN_SECONDS.
import fs from 'node:fs';
import https from 'node:https';
import Provider, { errors } from 'oidc-provider';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';

const ttl = Number(process.env.TOKEN_SECONDS);
const tls = { key: fs.readFileSync(process.env.KEY), cert: fs.readFileSync(process.env.CERTIFICATE) };
const secret = 'secret-secret-secret-secret-secret-32';
const audience = 'https://api.example.test/';

const listen = server => new Promise(resolve => {
  server.listen(0, '127.0.0.1', () => resolve(`https://localhost:${server.address().port}`));
});

const client = (client_id, client_secret, token_endpoint_auth_method) => ({
  client_id, client_secret, token_endpoint_auth_method,
  grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
});

const providerServer = https.createServer(tls);
const issuer = await listen(providerServer);
const provider = new Provider(issuer, {
  clients: [
    client('basic', secret, 'client_secret_basic'),
    client('weird:id+&', 'p@ss-word%+&=:x-0123456789-abcdef', 'client_secret_basic'),
    client('post', secret, 'client_secret_post'),
    client('rs', secret, 'client_secret_basic'),
  ],
  scopes: ['openid', 'api:read', 'api:write'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
  cookies: { keys: ['tests'] },
  ttl: { ClientCredentials: ttl },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    // A token asked for with `resource` is a JWT for that audience; without it, an opaque one.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_ctx, resource) => {
        if (resource !== audience) throw new errors.InvalidTarget();
        return {
          scope: 'api:read api:write', audience, accessTokenFormat: 'jwt', accessTokenTTL: ttl,
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  },
});
provider.on('server_error', (_ctx, error) => console.error(error));
provider.use(async (ctx, next) => {
  await next();
  console.log('provider', ctx.method, ctx.path, ctx.status, ctx.body?.error ?? '');
});
providerServer.on('request', provider.callback());

// What the API asks the provider: is this token active (RFC 7662), and by which keys are tokens signed.
const ask = (path, form) => new Promise((resolve, reject) => {
  const headers = form ? {
    authorization: `Basic ${Buffer.from(`rs:${secret}`).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
  } : {};
  https.request(issuer + path, { method: form ? 'POST' : 'GET', headers }, response => {
    let text = '';
    response.on('data', part => { text += part; });
    response.on('end', () => resolve({ status: response.statusCode, json: () => JSON.parse(text) }));
  }).on('error', reject).end(form && new URLSearchParams(form).toString());
});
const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`), {
  [customFetch]: async url => ask(new URL(url).pathname),
});

const judge = {
  introspected: async token => {
    const answer = (await ask('/token/introspection', { token })).json();
    if (!answer.active) throw new Error('not active');
    return answer;
  },
  jwt: async token => (await jwtVerify(token, keys, { issuer, audience, clockTolerance: 0 })).payload,
};

const apiServer = https.createServer(tls, async (request, response) => {
  const by = request.url.split(/[/?]/)[1];
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
  const answer = (status, body) => {
    console.log('api', request.method, request.url, status);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  try {
    const { client_id, scope, exp } = await judge[by](token);
    answer(200, { client_id, scope, exp });
  } catch (error) {
    answer(401, { error: error.message });
  }
});
const api = await listen(apiServer);
console.log(JSON.stringify({ issuer, api }));
