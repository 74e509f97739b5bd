// A certified OAuth2 server for tests, and an API that takes no other tokens than its own: both HTTPS on ports of
// the system's choosing, told in one line of JSON on standard output.
//
// Environment: CERTIFICATE, KEY (PEM files for localhost), NODE_EXTRA_CA_CERTS (which also vouches for client
// certificates), PRIVATE_KEY (of the client `pkjwt`), SELF_SIGNED (certificate of the client `self`), TOKEN_SECONDS.
import fs from 'node:fs';
import https from 'node:https';
import { X509Certificate, createHash, createPublicKey, randomUUID } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';
import { EmbeddedJWK, calculateJwkThumbprint, createRemoteJWKSet, customFetch, exportJWK, jwtVerify } from 'jose';

const ttl = Number(process.env.TOKEN_SECONDS);
const tls = { key: fs.readFileSync(process.env.KEY), cert: fs.readFileSync(process.env.CERTIFICATE) };
const clientCertificates = {
  ca: fs.readFileSync(process.env.NODE_EXTRA_CA_CERTS), requestCert: true, rejectUnauthorized: false,
};
const secret = 'secret-secret-secret-secret-secret-32';
const audience = 'https://api.example.test/';

const listen = server => new Promise(resolve => {
  server.listen(0, '127.0.0.1', () => resolve(`https://localhost:${server.address().port}`));
});

const client = (client_id, client_secret, token_endpoint_auth_method, more = {}) => ({
  client_id, client_secret, token_endpoint_auth_method,
  grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...more,
});
const signing = { ...await exportJWK(createPublicKey(fs.readFileSync(process.env.PRIVATE_KEY))), use: 'sig', kid: 'key-1' };
const selfSigned = new X509Certificate(fs.readFileSync(process.env.SELF_SIGNED));
const selfSignedJwk = { ...await exportJWK(selfSigned.publicKey), x5c: [selfSigned.raw.toString('base64')] };

const providerServer = https.createServer({ ...tls, ...clientCertificates });
const issuer = await listen(providerServer);
const provider = new Provider(issuer, {
  clients: [
    client('basic', secret, 'client_secret_basic'),
    client('weird:id+&', 'p@ss-word%+&=:x-0123456789-abcdef', 'client_secret_basic'),
    client('post', secret, 'client_secret_post'),
    client('csjwt', secret, 'client_secret_jwt'),
    client('pkjwt', undefined, 'private_key_jwt', {
      token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [signing] },
    }),
    client('tls', undefined, 'tls_client_auth', {
      tls_client_auth_san_dns: 'mtls-client', tls_client_certificate_bound_access_tokens: true,
    }),
    client('self', undefined, 'self_signed_tls_client_auth', { jwks: { keys: [selfSignedJwk] } }),
    client('dpop', secret, 'client_secret_basic', { dpop_bound_access_tokens: true }),
    client('rs', secret, 'client_secret_basic'),
    client('native', secret, 'client_secret_basic', {
      application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
    }),
    client('device', undefined, 'none', {
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    }),
    client('pw', secret, 'client_secret_basic', {
      grant_types: ['password', 'refresh_token', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
    }),
  ],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // A token that is revoked takes its grant with it.
  revokeGrantPolicy: () => true,
  issueRefreshToken: async (_ctx, asking) => asking.grantTypeAllowed('refresh_token'),
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  scopes: ['openid', 'offline_access', 'api:read', 'api:write'],
  clientAuthMethods: [
    'none',
    'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth',
    'self_signed_tls_client_auth',
  ],
  cookies: { keys: ['tests'] },
  ttl: {
    ClientCredentials: ttl, AccessToken: ttl, RefreshToken: 3600, DeviceCode: 120, Session: 3600, Grant: 3600,
    Interaction: 600, IdToken: 60,
  },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 'nonce'), requireNonce: () => true },
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, tlsClientAuth: true,
      getCertificate: ctx => ctx.socket.getPeerX509Certificate?.(),
      certificateAuthorized: ctx => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_dns'
        && ctx.socket.getPeerX509Certificate().subjectAltName === `DNS:${expected}`,
    },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
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

// Two grants that the provider does not have of its own.
const issue = async (ctx, sub) => {
  const { client: asking } = ctx.oidc;
  const { AccessToken, RefreshToken, Grant } = provider;
  const grant = new Grant({ accountId: sub, clientId: asking.clientId });
  grant.addOIDCScope('openid offline_access');
  const about = {
    accountId: sub, client: asking, grantId: await grant.save(), gty: ctx.oidc.params.grant_type,
    scope: 'openid offline_access', claims: {},
  };
  const token = new AccessToken({ ...about });
  ctx.body = {
    access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration,
    refresh_token: await new RefreshToken({ ...about, authTime: 0, acr: '0' }).save(),
  };
};
provider.registerGrantType('password', async ctx => {
  const { username, password } = ctx.oidc.params;
  if (username !== 'alice' || password !== 'wonder land+&é') throw new errors.InvalidGrant('bad user');
  await issue(ctx, username);
}, ['username', 'password', 'scope'], []);
provider.registerGrantType('urn:ietf:params:oauth:grant-type:jwt-bearer', async ctx => {
  let claims;
  try {
    const key = createPublicKey(fs.readFileSync(process.env.PRIVATE_KEY));
    const options = { audience: `${issuer}/token`, issuer: 'pw', requiredClaims: ['sub', 'jti'], maxTokenAge: '5m' };
    ({ payload: claims } = await jwtVerify(ctx.oidc.params.assertion, key, options));
  } catch (error) {
    throw new errors.InvalidGrant(error.message);
  }
  await issue(ctx, claims.sub);
}, ['assertion', 'scope'], []);
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

const seen = new Set();
const nonce = randomUUID();
const judge = {
  introspected: async token => {
    const answer = (await ask('/token/introspection', { token })).json();
    if (!answer.active) throw new Error('not active');
    return answer;
  },
  // Bound to a key: the proof is that of RFC 9449 §4.3, with a nonce of this API's own (§9).
  dpop: async (token, request) => {
    const { payload, protectedHeader } = await jwtVerify(request.headers.dpop, EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: '60s' });
    const ath = createHash('sha256').update(token).digest('base64url');
    if (payload.htm !== request.method || payload.htu !== api + request.url.split('?')[0]) throw new Error('another request');
    if (payload.ath !== ath || seen.has(payload.jti)) throw new Error('another token, or used before');
    seen.add(payload.jti);
    if (payload.nonce !== nonce) throw Object.assign(new Error('nonce'), { challenge: true });
    const found = await judge.introspected(token);
    if (found.cnf?.jkt !== await calculateJwkThumbprint(protectedHeader.jwk)) throw new Error('another key');
    return found;
  },
  jwt: async token => (await jwtVerify(token, keys, { issuer, audience, clockTolerance: 0 })).payload,
};

const apiServer = https.createServer(tls, async (request, response) => {
  const by = request.url.split(/[/?]/)[1];
  const scheme = by === 'dpop' ? 'DPoP' : 'Bearer';
  const token = new RegExp(`^${scheme} (\\S+)$`).exec(request.headers.authorization ?? '')?.[1];
  const answer = (status, body, headers = {}) => {
    console.log('api', request.method, request.url, status);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
  try {
    const { client_id, scope, exp } = await judge[by](token, request);
    answer(200, { client_id, scope, exp });
  } catch (error) {
    const challenge = { 'dpop-nonce': nonce, 'www-authenticate': 'DPoP error="use_dpop_nonce"' };
    answer(401, { error: error.message }, error.challenge ? challenge : {});
  }
});
const api = await listen(apiServer);
console.log(JSON.stringify({ issuer, api }));
