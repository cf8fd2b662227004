// An example: the worker of the queue `reports`. The payload of a run says where its figures are; its output is their sum.
import { work } from "./worker.js";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());

await work({
  url: process.env["PUNCTUAL_URL"] ?? "http://localhost:3000",
  queue: "reports",
  stop: stop.signal,
  leaseSeconds: Number(process.env["LEASE_SECONDS"] ?? 15),
  graceSeconds: Number(process.env["GRACE_SECONDS"] ?? 10),
  async execute(run, signal) {
    const { figures } = run.payload as { figures: string };
    const answer = await fetch(figures, { signal });
    if (!answer.ok) throw new Error(`there are no figures: ${answer.status}`);
    const sum = ((await answer.json()) as number[]).reduce((a, b) => a + b, 0);
    return `the sum is ${sum}`;
  },
});
