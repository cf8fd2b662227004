// An OpenID Connect provider for tests: it listens on the port PORT, or on a free one, and prints
// its issuer and its private key, as JSON. The clients are those of CLIENTS, as JSON, each with the
// claims that its tokens get. Tokens are for the resource that is asked for, or else for
// DEFAULT_RESOURCE, and last for TOKEN_SECONDS. A client with people is for a browser: whoever says
// that they are one of the people is signed in, and the tokens get the claims of that person. The
// key is the one of KEY or a new one. Each line of the input makes it replace its key and print
// again.
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

// interact asks a person who they are, and believes it.
async function interact(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method === "GET") {
    response.setHeader("Content-Type", "text/html");
    response.end(`<form method="post"><input id="login" name="login"><button>Sign in</button></form>`);
    return;
  }
  let body = "";
  for await (const chunk of request) body += chunk;
  const accountId = new URLSearchParams(body).get("login");
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope(params.resource, params.scope);
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result);
}

// serve makes a provider with one key and prints it.
function serve(key) {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: clients.map(({ id, secret, people }) => ({
      client_id: id,
      client_secret: secret,
      grant_types: people ? ["authorization_code", "refresh_token"] : ["client_credentials"],
      redirect_uris: people ? ["http://127.0.0.1/sign-in/returned"] : [],
      response_types: people ? ["code"] : [],
    })),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: () => true,
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: {
        logoutSource: (context, form) => {
          context.body = `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
        },
      },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => process.env.DEFAULT_RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: "read",
          audience: resource,
          accessTokenTTL: Number(process.env.TOKEN_SECONDS ?? 600),
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    extraTokenClaims: (_, token) => {
      const client = clients.find(({ id }) => id === token.clientId);
      return client.people ? client.people[token.accountId] : client.claims;
    },
  });
  // The port of a service is not known before it starts.
  provider.Client.prototype.redirectUriAllowed = (uri) => new URL(uri).pathname === "/sign-in/returned";
  provider.Client.prototype.postLogoutRedirectUriAllowed = (uri) => new URL(uri).pathname === "/sign-in";
  const rest = provider.callback();
  handle = (request, response) =>
    request.url.startsWith("/interaction/") ? interact(provider, request, response) : rest(request, response);
  console.log(JSON.stringify({ issuer, key }));
}

await new Promise((resolve) => server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", resolve));
serve(process.env.KEY ? JSON.parse(process.env.KEY) : await newKey());
for await (const _ of createInterface({ input: process.stdin })) {
  serve(await newKey());
}
