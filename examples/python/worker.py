"""A worker: it leases due runs of a queue, executes them, extends its leases by heartbeats, and
reports how the runs ended.

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
REPORT_SECONDS = 0.5  # how long a run that has ended waits for others to be reported with it


class Final(Exception):
    """Raised by `execute` if another attempt cannot help."""


def work(client, queue, execute, *, concurrency=1, batch=1, lease_seconds=15, grace_seconds=10):
    """Executes runs of a queue until SIGTERM or SIGINT.

    `concurrency` threads execute one run after the other. Each leases up to `batch` runs at a time
    and reports them together, which is faster for short runs. The attempt of a run begins when it
    is leased, so `batch` of them have to fit into `attemptDeadlineSeconds`.

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
        threading.Thread(target=_slot, args=(client, queue, execute, stop, batch, lease_seconds))
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
        if self.deadline is None:
            self.deadline = time.monotonic() + grace_seconds
            log.info("stopping: no other run begins")

    def is_set(self):
        return self.deadline is not None

    def is_over(self):
        return self.is_set() and time.monotonic() >= self.deadline


def _slot(client, queue, execute, stop, batch, lease_seconds):
    """Leases and executes runs, a batch after the other."""
    name = f"{socket.gethostname()} {os.getpid()}"
    ask = {"maxRuns": batch, "waitSeconds": WAIT_SECONDS, "leaseSeconds": lease_seconds, "worker": name}
    while not stop.is_set():
        try:
            lease = client.call("leaseRuns", {"queue": queue}, body=ask, retries=0)
        except (Problem, OSError) as error:
            log.error("could not lease runs: %s", error)
            time.sleep(1)
            continue
        if lease:
            Lease(client, execute, stop, lease, lease_seconds).execute_all()


class Lease:
    """A lease that is held."""

    def __init__(self, client, execute, stop, lease, lease_seconds):
        self.client, self.execute, self.stop, self.lease_seconds = client, execute, stop, lease_seconds
        self.id, self.runs = lease["id"], lease["runs"]
        self.leased = self.extended = self.reported = time.monotonic()
        self.beat = self.leased + lease_seconds / 3
        self.canceled, self.is_lost = set(), False
        self.reports = []

    def execute_all(self):
        """Executes the runs, and reports how they ended. What is left at a stop is released."""
        for n, run in enumerate(self.runs):
            if self.is_lost:
                break  # they are another worker's
            if self.stop.is_set() or not self.attempt(run):
                self.report_all()
                for left in self.runs[n:]:
                    _retry(self.client, "releaseRun", {"id": left["id"]}, {"token": left["token"]})
                break
            if time.monotonic() - self.reported >= REPORT_SECONDS:
                self.report_all()
        self.report_all()

    def attempt(self, run):
        """Executes a run. It returns false if the run is to be released."""
        ended = threading.Event()
        # A daemon, so that a run that does not end cannot keep the process from ending.
        attempt = Attempt(self.execute, run, ended)
        deadline = self.leased + run["attemptDeadlineSeconds"]
        failure = "the attempt took too long" if time.monotonic() >= deadline else self.keep(run)
        if not failure:
            attempt.start()
        while attempt.is_alive() and not failure:
            attempt.join(TICK_SECONDS)
            if self.stop.is_over() and attempt.is_alive():
                ended.set()
                attempt.join(1)  # what it has started should stop before another worker starts the same
                if attempt.is_alive() or attempt.error:
                    return False
                break
            if time.monotonic() >= deadline:
                failure = "the attempt took too long"
            else:
                failure = self.keep(run)
            if time.monotonic() - self.reported >= REPORT_SECONDS:
                self.report_all()
        ended.set()
        report = {"runId": run["id"], "token": run["token"]}
        if failure and (attempt.is_alive() or not attempt.has_begun):
            report["error"] = failure
        elif attempt.error:
            report.update(error=attempt.error, retryable=attempt.is_retryable)
        else:
            report["output"] = attempt.output
        self.reports.append(report)
        return True

    def keep(self, run):
        """Extends the lease if it is time to. It returns why a run is to be given up, or None."""
        now = time.monotonic()
        if now - self.extended >= self.lease_seconds:
            self.is_lost = True
            return "the lease could not be extended"
        if now >= self.beat:
            self.beat = now + self.lease_seconds / 3
            try:
                answer = self.client.call("heartbeat", {"id": self.id}, retries=0, timeout=self.lease_seconds / 3)
                self.extended = now
                self.canceled.update(answer["canceled"])
            except (Problem, OSError) as error:
                log.error("could not extend the lease: %s", error)
                if isinstance(error, Problem) and error.status == 409:
                    self.is_lost = True
                    return "the lease has expired"
        return "the run was canceled" if run["id"] in self.canceled else None

    def report_all(self):
        """Reports the runs that have ended since the last report."""
        self.reported = time.monotonic()
        if not self.reports:
            return
        reports, self.reports = self.reports, []
        answer = _retry(self.client, "completeRuns", {"id": self.id}, {"reports": reports})
        for report, result in zip(reports, answer["results"] if answer else []):
            if result["result"] == "REFUSED":
                log.error("the report of run %s was refused: %s", report["runId"], result["detail"])


class Attempt(threading.Thread):
    """One try to execute a run."""

    def __init__(self, execute, run, ended):
        super().__init__(daemon=True)
        self.execute, self.run_, self.ended = execute, run, ended
        self.output, self.error, self.is_retryable, self.has_begun = "", "", True, False

    def run(self):
        self.has_begun = True
        try:
            self.output = self.execute(self.run_, self.ended) or ""
        except Final as error:
            self.error, self.is_retryable = str(error) or "failed", False
        except BaseException as error:  # whatever it is, the attempt has failed
            self.error = f"{type(error).__name__}: {error}"


def _retry(client, operation, path, body):
    """Sends a report until the service has it. Otherwise the runs would be executed again."""
    for pause in (1, 2, 4, 8, 0):
        try:
            return client.call(operation, path, body=body)
        except Problem as problem:
            # After a conflict another worker has the run, or an earlier report has arrived.
            log.error("%s: %s", operation, problem)
            if problem.status < 500:
                return None
        except OSError as error:
            log.error("%s: %s", operation, error)
        time.sleep(pause)
