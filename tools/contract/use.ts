// Uses the clients that three generators make of the contract: each creates a job, starts a run of
// it and reads both.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import { client } from "./generated/hey-api/client.gen.js";
import * as hey from "./generated/hey-api/index.js";
import type { paths } from "./generated/openapi-typescript.js";
import * as orval from "./generated/orval.js";

const baseUrl = process.env["PUNCTUAL_URL"]!;
const key = process.env["PUNCTUAL_KEY"]!;
const headers = { Authorization: `Bearer ${key}` };
const target = { type: "worker", queue: "generated" } as const;
const job = (name: string) => ({ name, intervalInSeconds: 3600, target, payload: { from: name } });

/** Asserts what each client gets. */
function check(name: string, got: { payload: unknown }, run: { status: string; reason: string | null }) {
  assert.deepEqual(got.payload, { from: name });
  assert.equal(run.status, "PENDING");
  assert.equal(run.reason, null);
  console.log(name);
}

{
  const api = createClient<paths>({ baseUrl, headers });
  const created = await api.POST("/api/v1/jobs", { body: job("openapi-typescript") });
  const params = { path: { id: created.data!.id } };
  const got = await api.GET("/api/v1/jobs/{id}", { params });
  const run = await api.POST("/api/v1/jobs/{id}/run", { params });
  check("openapi-typescript", got.data!, run.data!);
}
{
  client.setConfig({ baseUrl, auth: ({ scheme }) => (scheme === "bearer" ? key : undefined) });
  const created = await hey.createJob({ body: job("hey-api"), throwOnError: true });
  const path = { id: created.data.id };
  const got = await hey.getJob({ path, throwOnError: true });
  const run = await hey.runJob({ path, throwOnError: true });
  check("hey-api", got.data, run.data);
}
{
  const created = await orval.createJob(job("orval"), { headers });
  assert.equal(created.status, 201);
  const got = await orval.getJob(created.data.id, { headers });
  assert.equal(got.status, 200);
  const run = await orval.runJob(created.data.id, {}, undefined, { headers });
  assert.equal(run.status, 202);
  check("orval", got.data, run.data);
}
