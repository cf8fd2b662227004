// Calls each operation of the contract with a generated client and checks the status of each
// response. It prints a line for each operation that it calls.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./punctual.js";

// @ts-expect-error: the types come from the contract, so this does not compile.
({ name: "mistyped", intervalInSeconds: "60" }) satisfies components["schemas"]["JobCreate"];

// Values of a list are separated by commas.
const querySerializer = { array: { style: "form", explode: false } } as const;
const api = createClient<paths>({ baseUrl: process.env["PUNCTUAL_URL"]!, querySerializer });
api.use({ onRequest: ({ request, schemaPath }) => console.log(request.method, schemaPath) });

/** Returns the content of a response, whose status must be the expected one. */
async function expect<T>(status: number, pending: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await pending;
  assert.equal(response.status, status, `${response.url} must return ${status}: ${JSON.stringify(error)}`);
  return data as T;
}

const queue = "typed";
const of = (thing: { id: string }) => ({ path: { id: thing.id } });
const lease = async () => {
  const leased = await expect(200, api.POST("/api/v1/queues/{queue}/leases", { params: { path: { queue } }, body: { maxRuns: 1 } }));
  assert.equal(leased?.runs.length, 1, "a run is leased");
  return { id: leased.id, run: leased.runs[0]! };
};

// Health.
assert.equal((await expect(200, api.GET("/livez"))).status, "OK");
assert.equal((await expect(200, api.GET("/readyz"))).status, "OK");

// Jobs.
const target = { type: "worker", queue } as const;
const day = 86_400;
const daysAgo = (days: number) => new Date(Date.now() - days * day * 1000).toISOString();
const job = await expect(201, api.POST("/api/v1/jobs", {
  body: { name: "typed", intervalInSeconds: day, startAt: daysAgo(2.5), target, payload: { to: ["you"] } },
}));
assert.deepEqual(job.target, target);
assert.deepEqual(await expect(200, api.GET("/api/v1/jobs/{id}", { params: of(job) })), job);
const jobs = await expect(200, api.GET("/api/v1/jobs", { params: { query: { limit: 1, status: ["ACTIVE", "PAUSED"] } } }));
assert.deepEqual(jobs.items, [job]);
const renamed = await expect(200, api.PATCH("/api/v1/jobs/{id}", { params: of(job), body: { name: "renamed" } }));
assert.equal(renamed.name, "renamed");

// Versions: a change for a version that the job has no more is refused.
const header = { "If-Match": '"1"' };
await expect(412, api.PATCH("/api/v1/jobs/{id}", { params: { ...of(job), header }, body: { name: "lost" } }));
const versions = await expect(200, api.GET("/api/v1/jobs/{id}/versions", { params: of(job) }));
assert.deepEqual(versions.items.map((version) => version.changes), [[{ field: "name", from: "typed", to: "renamed" }], null]);
const created = await expect(200, api.GET("/api/v1/jobs/{id}/versions/{version}", { params: { path: { id: job.id, version: 1 } } }));
assert.equal(created.job.name, "typed");
const audit = await expect(200, api.GET("/api/v1/audit", { params: { query: { resourceId: job.id, limit: 1 } } }));
assert.deepEqual(audit.items.map((entry) => [entry.operation, entry.result]), [["updateJob", { version: 2, fields: ["name"] }]]);

// What happens, as a stream of text. An id that the service does not know is answered with what may
// be missing.
const stop = new AbortController();
const { data: happening } = await api.GET("/api/v1/events", {
  params: { query: { jobId: job.id }, header: { "Last-Event-ID": "nobody-knows-1" } }, parseAs: "stream", signal: stop.signal,
  baseUrl: process.env["PUNCTUAL_STREAM_URL"] ?? process.env["PUNCTUAL_URL"]!, // a proxy may wait for the end of a response
});
let text = "";
for await (const chunk of happening!.pipeThrough(new TextDecoderStream())) {
  text += chunk;
  if (text.includes("\ndata: {")) break;
}
stop.abort();
assert.match(text, /^event: events\.lost$/m);

const upcoming = await expect(200, api.GET("/api/v1/jobs/{id}/upcoming", { params: { ...of(job), query: { count: 2 } } }));
assert.equal(upcoming.items[0]?.scheduledFor, job.nextRunAt);
const next = await expect(200, api.GET("/api/v1/upcoming", { params: { query: { to: daysAgo(-0.9), limit: 5 } } }));
assert.ok(next.items.some((run) => run.jobId === job.id && run.scheduledFor === job.nextRunAt), "the job is among those that are due next");
const preview = await expect(200, api.POST("/api/v1/schedules/preview", { body: { cron: "@daily", count: 2 } }));
assert.equal(preview.items.length, 2);

// A run that a worker releases, leases again and completes.
const manual = await expect(202, api.POST("/api/v1/jobs/{id}/run", { params: of(job) }));
const first = await lease();
assert.equal(first.run.id, manual.id);
assert.deepEqual(first.run.payload, job.payload);
assert.deepEqual((await expect(200, api.POST("/api/v1/leases/{id}/heartbeat", { params: of(first) }))).canceled, []);
await expect(204, api.POST("/api/v1/runs/{id}/release", { params: of(manual), body: { token: first.run.token } }));
const { token } = (await lease()).run;
await expect(204, api.POST("/api/v1/runs/{id}/complete", { params: of(manual), body: { token, output: "done" } }));
const completed = await expect(200, api.GET("/api/v1/runs/{id}", { params: of(manual) }));
assert.equal(completed.status, "SUCCEEDED");
assert.equal(completed.result?.output, "done");
const reports = [{ runId: manual.id, token }];
const again = await expect(200, api.POST("/api/v1/leases/{id}/complete", { params: of(first), body: { reports } }));
assert.equal(again.results[0]?.code, "stale-token", "it is completed already");

// A run that fails and is retried; the retry is canceled.
const doomed = await expect(202, api.POST("/api/v1/jobs/{id}/run", { params: { ...of(job), query: { overlapPolicy: "ALLOW_ALL" } } }));
const failure = { token: (await lease()).run.token, error: "the printer is on fire", retryable: false };
await expect(204, api.POST("/api/v1/runs/{id}/fail", { params: of(doomed), body: failure }));
const retried = await expect(202, api.POST("/api/v1/runs/{id}/retry", { params: of(doomed) }));
assert.equal(retried.retryOf, doomed.id);
await expect(202, api.POST("/api/v1/runs/{id}/cancel", { params: of(retried) }));
const failed = await expect(200, api.GET("/api/v1/jobs/{id}/runs", { params: { ...of(job), query: { status: ["FAILED"] } } }));
assert.deepEqual(failed.items.map((run) => run.error), [failure.error]);

// A backfill.
const window = { from: daysAgo(2), to: daysAgo(0.1) };
const backfill = await expect(202, api.POST("/api/v1/jobs/{id}/backfill", { params: of(job), body: window }));
assert.equal(backfill.runs, 2);

// What needs attention.
const attention = await expect(200, api.GET("/api/v1/attention"));
assert.deepEqual(attention.jobs.map((of) => of.problem), ["FAILING", "OVERDUE", "LATE", "PAUSED_BY_SERVICE"]);

// Runs of all jobs, and many at once.
const night = { from: daysAgo(1), to: daysAgo(-1), jobId: job.id, status: ["FAILED" as const, "CANCELED" as const] };
const lastNight = await expect(200, api.GET("/api/v1/runs", { params: { query: night } }));
assert.ok(lastNight.items.some((run) => run.id === doomed.id), "what failed is found");
const latest = await expect(200, api.GET("/api/v1/runs/recent", { params: { query: { jobId: [job.id], count: 30 } } }));
assert.ok(latest.items[0]?.runs.some((run) => run.id === doomed.id && run.status === "FAILED"), "what failed is among the latest");
const selected = { selector: { ids: [doomed.id] }, action: "RETRY" as const, dryRun: true };
const retries = await expect(200, api.POST("/api/v1/runs/bulk", { body: selected }));
assert.deepEqual(retries.items.map((run) => run.id), [doomed.id]);
assert.ok((await expect(200, api.GET("/api/v1/queues"))).items.some((q) => q.name === queue), "the queue is listed");
assert.equal((await expect(200, api.GET("/api/v1/jobs/{id}/stats", { params: { ...of(job), query: { step: "DAY" } } }))).isCapped, false);
assert.match(await expect(200, api.GET("/api/v1/jobs/{id}/badge.svg", { params: of(job), parseAs: "text" })), /<svg /);
const numbers = await expect(200, api.GET("/api/v1/stats", { params: { query: { step: "HOUR", trigger: ["SCHEDULE"] } } }));
assert.equal(numbers.totals.canceled, 0, "an instance adds what it has counted once a minute");
assert.equal((await expect(200, api.GET("/api/v1/instances"))).items.length, 1, "one instance answers");

await expect(204, api.DELETE("/api/v1/jobs/{id}", { params: of(job) }));
const { error } = await api.GET("/api/v1/jobs/{id}", { params: of(job) });
assert.equal(error?.status, 404, "an error is a typed problem");

// Jobs by key. A slash of a key is escaped.
const keyed = { params: { path: { key: "typed/by-key" } } };
const definition = { name: "typed", cron: "@daily", labels: { team: "typed" } };
const put = await expect(201, api.PUT("/api/v1/jobs/by-key/{key}", { ...keyed, body: definition }));
assert.deepEqual(await expect(200, api.GET("/api/v1/jobs/by-key/{key}", keyed)), put);
const unchanged = await expect(200, api.PUT("/api/v1/jobs/by-key/{key}", { ...keyed, body: definition }));
assert.equal(unchanged.version, 1);
await expect(204, api.DELETE("/api/v1/jobs/by-key/{key}", keyed));

// Many jobs: a list is applied, others are created, all are deleted. A repeated request does
// nothing.
const list = { definitions: [1, 2].map((n) => ({ ...definition, key: `typed/${n}` })), prune: "team=typed" };
assert.equal((await expect(200, api.POST("/api/v1/jobs/apply", { body: list }))).created, 2);
assert.equal((await expect(200, api.POST("/api/v1/jobs/apply", { body: list }))).unchanged, 2);
const once = { params: { header: { "Idempotency-Key": crypto.randomUUID() } }, body: { jobs: [definition] } };
const batch = await expect(201, api.POST("/api/v1/jobs/batch", once));
assert.deepEqual(await expect(201, api.POST("/api/v1/jobs/batch", once)), batch);
const gone = { selector: { labelSelector: "team=typed" }, action: "DELETE" as const };
assert.equal((await expect(200, api.POST("/api/v1/jobs/bulk", { body: gone }))).changed, 3);

// Calendars.
const holidays = { params: { path: { key: "typed" } } };
await expect(201, api.POST("/api/v1/calendars", { body: { key: "typed", yearly: ["12-25"] } }));
const longer = { yearly: ["12-25", "12-26"], weekdays: ["SUNDAY" as const] };
const replaced = await expect(200, api.PUT("/api/v1/calendars/{key}", { ...holidays, body: longer }));
assert.deepEqual([replaced.yearly, replaced.weekdays], [longer.yearly, longer.weekdays]);
assert.deepEqual(await expect(200, api.GET("/api/v1/calendars/{key}", holidays)), replaced);
assert.deepEqual((await expect(200, api.GET("/api/v1/calendars"))).items, [replaced]);
await expect(204, api.DELETE("/api/v1/calendars/{key}", holidays));

// Connections.
const to = { params: { path: { key: "typed" } } };
await expect(201, api.POST("/api/v1/connections", { body: { key: "typed", baseUrl: "https://example.com" } }));
const slowed = await expect(200, api.PATCH("/api/v1/connections/{key}", { ...to, body: { maxPerSecond: 5 } }));
assert.deepEqual(await expect(200, api.GET("/api/v1/connections/{key}", to)), slowed);
assert.deepEqual((await expect(200, api.GET("/api/v1/connections"))).items, [slowed]);
await expect(204, api.DELETE("/api/v1/connections/{key}", to));
assert.deepEqual(await expect(200, api.GET("/.well-known/jwks.json")), { keys: [] });

// Namespaces.
const name = "typed";
const named = { params: { path: { name } } };
await expect(201, api.POST("/api/v1/namespaces", { body: { name, maxJobs: 100 } }));
const team = await expect(200, api.PATCH("/api/v1/namespaces/{name}", { ...named, body: { maxJobs: null } }));
assert.equal(team.maxJobs, null);
assert.deepEqual(await expect(200, api.GET("/api/v1/namespaces/{name}", named)), team);
assert.deepEqual((await expect(200, api.GET("/api/v1/namespaces"))).items.map((n) => n.name).sort(), ["default", name]);
await expect(204, api.DELETE("/api/v1/namespaces/{name}", named));

// Keys.
const key = await expect(201, api.POST("/api/v1/keys", { body: { description: "typed", scopes: ["jobs:read"] } }));
assert.match(key.key!, /^punc_/);
const shown = await expect(200, api.GET("/api/v1/keys/{id}", { params: of(key) }));
assert.deepEqual((await expect(200, api.GET("/api/v1/keys"))).items, [shown]);
await expect(204, api.DELETE("/api/v1/keys/{id}", { params: of(key) }));
assert.equal((await expect(200, api.GET("/api/v1/caller"))).namespace, "default");
