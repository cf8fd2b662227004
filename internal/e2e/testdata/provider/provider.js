// An OpenID Connect provider for tests: it listens on the port PORT, or on a free one, and prints
// its issuer and its private key, as JSON. The clients are those of CLIENTS, as JSON, each with the
// claims that its tokens get. Tokens are for the resource that is asked for, or else for
// DEFAULT_RESOURCE, and last for TOKEN_SECONDS. The key is the one of KEY or a new one. Each line
// of the input makes it replace its key and print again.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const clients = JSON.parse(process.env.CLIENTS);
let handle = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => handle(request, response));

async function newKey() {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: crypto.randomUUID(), alg: "RS256", use: "sig" };
}

// serve makes a provider with one key and prints it.
function serve(key) {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: clients.map(({ id, secret }) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => process.env.DEFAULT_RESOURCE,
        getResourceServerInfo: (_, resource) => ({
          scope: "read",
          audience: resource,
          accessTokenTTL: Number(process.env.TOKEN_SECONDS ?? 600),
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    extraTokenClaims: (_, token) => clients.find(({ id }) => id === token.clientId).claims,
  });
  handle = provider.callback();
  console.log(JSON.stringify({ issuer, key }));
}

await new Promise((resolve) => server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", resolve));
serve(process.env.KEY ? JSON.parse(process.env.KEY) : await newKey());
for await (const _ of createInterface({ input: process.stdin })) {
  serve(await newKey());
}
