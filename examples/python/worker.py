"""A worker: it leases due runs of a queue, executes them, extends its leases by heartbeats, and
reports how each run ended.

An attempt may happen twice: if a worker dies after its work and before its report, another worker
gets the same run. The run's id stays the same, so what must not happen twice has to remember the
ids of the runs it has done (a unique column in your database, an idempotency key of a payment).
This worker cannot do that for you.
"""
import logging
import os
import signal
import socket
import threading
import time

from punctual import Problem

log = logging.getLogger("worker")

WAIT_SECONDS = 5  # how long a request waits for a run, and so how long a stop may have to wait
TICK_SECONDS = 0.1


class Final(Exception):
    """Raised by `execute` if another attempt cannot help."""


def work(client, queue, execute, *, concurrency=1, lease_seconds=15, grace_seconds=10):
    """Executes runs of a queue until SIGTERM or SIGINT.

    `execute(run, ended)` executes a run and returns its output as text. If it raises, the attempt
    has failed. Python cannot stop it, so it should look at `ended`, a threading.Event, now and
    then: once that is set, nobody waits for the result, and another worker may have the run.

    A run holds for `lease_seconds` if this worker dies. After SIGTERM, runs may go on for
    `grace_seconds`. Then they are released: another worker gets them, and the attempt does not
    count.
    """
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set(grace_seconds))

    slots = [
        threading.Thread(target=_slot, args=(client, queue, execute, stop, lease_seconds))
        for _ in range(concurrency)
    ]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join()


class Stop:
    """Says that no more runs are leased, and until when those that began may go on."""

    def __init__(self):
        self.deadline = None

    def set(self, grace_seconds):
        self.deadline = self.deadline or time.monotonic() + grace_seconds

    def is_set(self):
        return self.deadline is not None

    def is_over(self):
        return self.is_set() and time.monotonic() >= self.deadline


def _slot(client, queue, execute, stop, lease_seconds):
    """Leases and executes one run after the other."""
    name = f"{socket.gethostname()} {os.getpid()}"
    ask = {"maxRuns": 1, "waitSeconds": WAIT_SECONDS, "leaseSeconds": lease_seconds, "worker": name}
    while not stop.is_set():
        try:
            lease = client.call("leaseRuns", {"queue": queue}, body=ask, retries=0)
        except (Problem, OSError) as error:
            log.error("could not lease a run: %s", error)
            time.sleep(1)
            continue
        for run in lease["runs"] if lease else []:
            _hold(client, execute, stop, lease, run, lease_seconds)


def _hold(client, execute, stop, lease, run, lease_seconds):
    """Executes a run under its lease, and reports how it ended."""
    ended = threading.Event()
    # A daemon, so that a run that does not end cannot keep the process from ending.
    attempt = Attempt(execute, run, ended)
    attempt.start()
    deadline = time.monotonic() + run["attemptDeadlineSeconds"]
    extended = time.monotonic()
    beat = extended + lease_seconds / 3
    failure = None
    while attempt.is_alive() and not failure:
        attempt.join(TICK_SECONDS)
        now = time.monotonic()
        if stop.is_over() and attempt.is_alive():
            ended.set()
            attempt.join(1)  # what it has started should stop before another worker starts the same
            _report(client, "releaseRun", run)
            return
        if now >= deadline:
            failure = "the attempt took too long"
        elif now - extended >= lease_seconds:
            failure = "the lease could not be extended"
        elif now >= beat:
            beat = now + lease_seconds / 3
            try:
                answer = client.call("heartbeat", {"id": lease["id"]}, retries=0, timeout=lease_seconds / 3)
                extended = now
                if run["id"] in answer["canceled"]:
                    failure = "the run was canceled"
            except (Problem, OSError) as error:
                log.error("could not extend the lease: %s", error)
                if isinstance(error, Problem) and error.status == 409:
                    failure = "the lease has expired"
    ended.set()
    if failure and attempt.is_alive():
        _report(client, "failRun", run, error=failure)
    elif attempt.error:
        _report(client, "failRun", run, error=attempt.error, retryable=attempt.is_retryable)
    else:
        _report(client, "completeRun", run, output=attempt.output)


class Attempt(threading.Thread):
    """One try to execute a run."""

    def __init__(self, execute, run, ended):
        super().__init__(daemon=True)
        self.execute, self.run_, self.ended = execute, run, ended
        self.output, self.error, self.is_retryable = "", "", True

    def run(self):
        try:
            self.output = self.execute(self.run_, self.ended) or ""
        except Final as error:
            self.error, self.is_retryable = str(error) or "failed", False
        except Exception as error:  # whatever it is, the attempt has failed
            self.error = f"{type(error).__name__}: {error}"


def _report(client, operation, run, **report):
    """Sends a report until the service has it. Otherwise the run would be executed again."""
    for pause in (1, 2, 4, 8, 0):
        try:
            client.call(operation, {"id": run["id"]}, body={"token": run["token"], **report})
            return
        except Problem as problem:
            # After a conflict another worker has the run, or an earlier report has arrived.
            log.error("%s of run %s: %s", operation, run["id"], problem)
            if problem.status < 500:
                return
        except OSError as error:
            log.error("%s of run %s: %s", operation, run["id"], error)
        time.sleep(pause)
