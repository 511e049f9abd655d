// A certified OpenID provider on a free port of 127.0.0.1, over TLS: `node provider.mjs CERTIFICATE KEY`.
// Writes one line of JSON once it answers, and then one in answer to each line of JSON on standard input:
//   {"do": "rotate", "keep": true}            other signing keys; with `keep`, the old ones stay in the key set
//   {"do": "claims", "subject": "alice", "claims": {"https://aws.amazon.com/tags": {…}}}
// Whoever signs in is who they say, with any password.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

const CALLBACK = 'https://app.example.com/callback';
const SIGNING = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'HS256'];
const CLAIMS = ['sub', 'azp', 'amr', 'https://aws.amazon.com/tags', 'https://aws.amazon.com/source_identity'];
const [certificate, key] = process.argv.slice(2).map((path) => readFileSync(path));
const claimsOf = new Map();
let keys = [];
let answer = (request, response) => response.writeHead(503).end();

function newKeys() {
  return [
    ['RS', 'rsa', { modulusLength: 2048 }],
    ['ES256', 'ec', { namedCurve: 'P-256' }],
    ['ES384', 'ec', { namedCurve: 'P-384' }],
    ['ES512', 'ec', { namedCurve: 'P-521' }],
  ].map(([name, type, options]) => {
    const { privateKey } = generateKeyPairSync(type, options);
    return { ...privateKey.export({ format: 'jwk' }), kid: `${name}-${randomUUID()}`, use: 'sig' };
  });
}

function client(id, more = {}) {
  return {
    client_id: id,
    client_secret: 'a secret of the tests, long enough for an HMAC of 512 bits: 0123456789abcdef',
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    ...more,
  };
}

function serve(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ['of the tests'] },
    clients: [
      client('app'),
      client('other-app'),
      client('brief-app'),
      ...SIGNING.map((alg) => client(`app-${alg}`, { id_token_signed_response_alg: alg })),
    ],
    enabledJWA: { idTokenSigningAlgValues: SIGNING },
    claims: { openid: CLAIMS },
    conformIdTokenClaims: false,
    pkce: { required: () => false },
    ttl: {
      IdToken: (ctx, token, { clientId }) => (clientId === 'brief-app' ? 2 : 3600),
      AccessToken: 600, Grant: 600, Interaction: 600, Session: 600,
    },
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...claimsOf.get(sub) }) }),
  });
  // How somebody signed in (amr) is for the sign-in page to say; the one that comes with the provider says nothing.
  const finish = provider.interactionFinished.bind(provider);
  provider.interactionFinished = (request, response, result, options) => {
    const methods = result.login && claimsOf.get(result.login.accountId)?.amr;
    if (methods) result.login.amr = methods;
    return finish(request, response, result, options);
  };
  answer = provider.callback();
}

const server = createServer({ cert: certificate, key }, (request, response) => answer(request, response));
keys = newKeys();
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://127.0.0.1:${server.address().port}`;
  serve(issuer);
  console.log(JSON.stringify({ issuer }));
  createInterface({ input: process.stdin }).on('line', (line) => {
    const wanted = JSON.parse(line);
    if (wanted.do === 'rotate') {
      keys = wanted.keep ? [...newKeys(), ...keys] : newKeys();
      serve(issuer);
    } else {
      claimsOf.set(wanted.subject, wanted.claims);
    }
    console.log('{}');
  }).on('close', () => process.exit(0));
});
