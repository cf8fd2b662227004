// A worker: it leases due runs of a queue, executes them, extends its leases by heartbeats, and
// reports how each run ended.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isInteger, isSafeNumber, LosslessNumber, parse } from "lossless-json";
import createClient from "openapi-fetch";
import type { components, paths } from "./punctual.js";

export type Run = components["schemas"]["LeasedRun"];
type Lease = components["schemas"]["Lease"];

export interface Options {
  /** The URL of Punctual, such as http://localhost:3000. */
  url: string;
  /** An API key with the scope `workers`. A service on your own machine may need none. */
  key?: string;
  queue: string;
  /**
   * Executes a run and returns its output. If it throws, the attempt has failed. Once the signal is aborted,
   * the run may be executed by another worker: throw as soon as possible.
   *
   * Numbers of the payload that JavaScript would round come as a `bigint` or a `LosslessNumber`.
   */
  execute(run: Run, signal: AbortSignal): Promise<string>;
  /** Stops the worker when it is aborted: it leases no more runs. */
  stop: AbortSignal;
  /** The maximum number of runs to execute at a time. The default is 1. */
  concurrency?: number;
  /** How long a run is held if this worker dies. The default is 15. */
  leaseSeconds?: number;
  /** How long runs may continue after `stop`, before they are released. The default is 10. */
  graceSeconds?: number;
}

/** Executes runs until it is stopped. */
export async function work(options: Options): Promise<void> {
  const { url, key, queue, execute, stop, concurrency = 1, leaseSeconds = 15, graceSeconds = 10 } = options;
  const api = createClient<paths>({ baseUrl: url, headers: key ? { Authorization: `Bearer ${key}` } : {} });
  const giveUp = new AbortController();
  stop.addEventListener("abort", () => setTimeout(() => giveUp.abort(), graceSeconds * 1000).unref());

  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (!stop.aborted) {
      const lease = await leaseNext();
      if (lease) await Promise.all(lease.runs.map((run) => hold(lease, run)));
    }
  }));

  /** Waits for a due run. Returns undefined if there was none in time. */
  async function leaseNext(): Promise<Lease | undefined> {
    try {
      const { data, error } = await api.POST("/api/v1/queues/{queue}/leases", {
        params: { path: { queue } },
        body: { maxRuns: 1, leaseSeconds, worker: `${hostname()} ${process.pid}` },
        signal: stop,
        parseAs: "text",
      });
      if (!error) return data ? parseExactly(data) as Lease : undefined;
      console.error("could not lease a run:", error.detail);
    } catch (error) {
      if (!stop.aborted) console.error("could not lease a run:", error);
    }
    await sleep(1000, undefined, { signal: stop }).catch(() => {});
  }

  /** Executes a run under its lease. */
  async function hold(lease: Lease, run: Run): Promise<void> {
    const end = new AbortController();
    const heartbeat = extend(lease, run, end);
    const deadline = setTimeout(() => end.abort(new Error("the attempt took too long")), run.attemptDeadlineSeconds * 1000);
    await send(await attempt(run, AbortSignal.any([end.signal, giveUp.signal])));
    clearTimeout(deadline);
    clearInterval(heartbeat);
  }

  /** Extends a lease by heartbeats. Aborts when that fails, or when the cancellation of the run was requested. */
  function extend(lease: Lease, run: Run, end: AbortController): NodeJS.Timeout {
    const every = Math.floor((leaseSeconds * 1000) / 3);
    let missed = 0;
    return setInterval(async () => {
      try {
        const { data, response } = await api.POST("/api/v1/leases/{id}/heartbeat", {
          params: { path: { id: lease.id } },
          signal: AbortSignal.timeout(every),
        });
        missed = data ? 0 : missed + 1;
        if (response.status === 409) end.abort(new Error("the lease has expired"));
        if (data?.canceled.includes(run.id)) end.abort(new Error("the run was canceled"));
      } catch (error) {
        console.error("could not send a heartbeat:", error);
        missed++;
      }
      // The lease has not expired yet, but a third heartbeat could come too late.
      if (missed === 2) end.abort(new Error("the lease could not be extended"));
    }, every);
  }

  /** Executes a run, and returns the report to send. */
  async function attempt(run: Run, signal: AbortSignal) {
    const params = { path: { id: run.id } };
    const { token } = run;
    try {
      const output = await execute(run, signal);
      return () => api.POST("/api/v1/runs/{id}/complete", { params, body: { token, output } });
    } catch (error) {
      if (giveUp.signal.aborted) return () => api.POST("/api/v1/runs/{id}/release", { params, body: { token } });
      return () => api.POST("/api/v1/runs/{id}/fail", { params, body: { token, error: String(error) } });
    }
  }

  /** Sends a report until the service has it. Otherwise the run would be executed again. */
  async function send(report: Awaited<ReturnType<typeof attempt>>): Promise<void> {
    for (let tries = 0; tries < 10; tries++) {
      try {
        const { error, response } = await report();
        if (response.status < 500) {
          // After a conflict, another worker has the run, and nothing has changed.
          if (error) console.error("the report was refused:", error.detail);
          return;
        }
      } catch (error) {
        console.error("could not send the report yet:", error);
      }
      await sleep(1000);
    }
  }
}

/** Parses JSON without rounding numbers. JSON.parse would make 1970670598291982300 of 1970670598291982290. */
function parseExactly(text: string): unknown {
  return parse(text, null, {
    parseNumber: (digits) =>
      isSafeNumber(digits) ? Number(digits) : isInteger(digits) ? BigInt(digits) : new LosslessNumber(digits),
    onDuplicateKey: ({ newValue }) => newValue, // as JSON.parse does
  });
}
