// An example: a worker of the queue `reports`. The payload of a run has the URL of its figures, and
// the output is their sum.
import { work } from "./worker.js";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());

await work({
  url: process.env["PUNCTUAL_URL"] ?? "http://localhost:3000",
  key: process.env["PUNCTUAL_KEY"] ?? "",
  queue: "reports",
  stop: stop.signal,
  leaseSeconds: Number(process.env["LEASE_SECONDS"] ?? 15),
  graceSeconds: Number(process.env["GRACE_SECONDS"] ?? 10),
  async execute(run, signal) {
    const { figures, id } = run.payload as { figures: string; id?: number | bigint };
    const answer = await fetch(figures, { signal });
    if (!answer.ok) throw new Error(`could not read the figures: ${answer.status}`);
    const sum = ((await answer.json()) as number[]).reduce((a, b) => a + b, 0);
    return id === undefined ? `the sum is ${sum}` : `the sum of report ${id} is ${sum}`;
  },
});
