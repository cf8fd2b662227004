// A worker: it leases due runs of a queue, executes them, keeps its lease by heartbeats, and says how each run ended.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./punctual.js";

export type Run = components["schemas"]["LeasedRun"];
type Lease = components["schemas"]["Lease"];

export interface Options {
  /** Where Punctual is, such as http://localhost:3000. */
  url: string;
  queue: string;
  /**
   * Does what a run is for. What it returns is kept as the run's output; when it throws, the attempt has failed. Once the
   * signal is aborted, the run is not this worker's any more: it should throw as soon as it can.
   */
  execute(run: Run, signal: AbortSignal): Promise<string>;
  /** Ends the worker once it is aborted: nothing more is leased. */
  stop: AbortSignal;
  /** How many runs it executes at a time. Default 1. */
  concurrency?: number;
  /** How long a run waits for another worker when this one dies. Default 15. */
  leaseSeconds?: number;
  /** How long runs may go on after `stop`; then they are given back. Default 10. */
  graceSeconds?: number;
}

/** Executes runs until it is stopped. */
export async function work(options: Options): Promise<void> {
  const { url, queue, execute, stop, concurrency = 1, leaseSeconds = 15, graceSeconds = 10 } = options;
  const api = createClient<paths>({ baseUrl: url });
  const giveBack = new AbortController();
  stop.addEventListener("abort", () => setTimeout(() => giveBack.abort(), graceSeconds * 1000).unref());

  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (!stop.aborted) {
      const lease = await leaseNext();
      if (lease) await Promise.all(lease.runs.map((run) => hold(lease, run)));
    }
  }));

  /** Waits for a run, and returns undefined when there was none in that time. */
  async function leaseNext(): Promise<Lease | undefined> {
    try {
      const { data, error } = await api.POST("/api/v1/queues/{queue}/leases", {
        params: { path: { queue } },
        body: { maxRuns: 1, leaseSeconds, worker: `${hostname()} ${process.pid}` },
        signal: stop,
      });
      if (!error) return data;
      console.error("no lease:", error.detail);
    } catch (error) {
      if (!stop.aborted) console.error("no lease:", error);
    }
    await sleep(1000, undefined, { signal: stop }).catch(() => {});
  }

  /** Executes a run under its lease. */
  async function hold(lease: Lease, run: Run): Promise<void> {
    const end = new AbortController();
    const heartbeat = keep(lease, run, end);
    const deadline = setTimeout(() => end.abort(new Error("the attempt took too long")), run.attemptDeadlineSeconds * 1000);
    await say(await attempt(run, AbortSignal.any([end.signal, giveBack.signal])));
    clearTimeout(deadline);
    clearInterval(heartbeat);
  }

  /** Keeps a lease by heartbeats, and aborts when that fails, or when the run is to end. */
  function keep(lease: Lease, run: Run, end: AbortController): NodeJS.Timeout {
    const every = Math.floor((leaseSeconds * 1000) / 3);
    let missed = 0;
    return setInterval(async () => {
      try {
        const { data, response } = await api.POST("/api/v1/leases/{id}/heartbeat", {
          params: { path: { id: lease.id } },
          signal: AbortSignal.timeout(every),
        });
        missed = data ? 0 : missed + 1;
        if (response.status === 409) end.abort(new Error("the lease has run out"));
        if (data?.canceled.includes(run.id)) end.abort(new Error("the run was canceled"));
      } catch (error) {
        console.error("no heartbeat:", error);
        missed++;
      }
      // Before the lease can have run out: a third one may come too late.
      if (missed === 2) end.abort(new Error("the lease cannot be kept"));
    }, every);
  }

  /** Executes a run, and returns what is to be said of it. */
  async function attempt(run: Run, signal: AbortSignal) {
    const params = { path: { id: run.id } };
    const { token } = run;
    try {
      const output = await execute(run, signal);
      return () => api.POST("/api/v1/runs/{id}/complete", { params, body: { token, output } });
    } catch (error) {
      if (giveBack.signal.aborted) return () => api.POST("/api/v1/runs/{id}/release", { params, body: { token } });
      return () => api.POST("/api/v1/runs/{id}/fail", { params, body: { token, error: String(error) } });
    }
  }

  /** Says it until the service has heard: what it does not hear is done again. */
  async function say(it: Awaited<ReturnType<typeof attempt>>): Promise<void> {
    for (let tries = 0; tries < 10; tries++) {
      try {
        const { error, response } = await it();
        if (response.status < 500) {
          // A conflict: the run is another's by now, and nothing has changed.
          if (error) console.error("not taken:", error.detail);
          return;
        }
      } catch (error) {
        console.error("not said yet:", error);
      }
      await sleep(1000);
    }
  }
}
