// A receiver for http targets: it verifies each request with each of its secrets, which are its
// arguments. It prints its port, and then a line of JSON for each request.
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const secrets = process.argv.slice(2);

const server = createServer(async (request, response) => {
  const body = await text(request);
  const verified = secrets.map((secret) => verifies(secret, body, request.headers));
  const forged = secrets.map((secret) => verifies(secret, body + " ", request.headers));
  console.log(JSON.stringify({ method: request.method, headers: request.headers, body, verified, forged }));
  const isBusy = request.url === "/busy-at-first" && request.headers["punctual-attempt"] === "1";
  response.writeHead(isBusy ? 503 : verified.includes(true) ? 204 : 401).end();
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));

function verifies(secret: string, body: string, headers: IncomingHttpHeaders): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}
