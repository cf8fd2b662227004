"""An example: a worker of the queue `reports`. The payload of a run has the URL of its figures, and
the output is their sum."""
import json
import logging
import os
import sys
import urllib.request

from punctual import Client
from worker import Final, work


def report(run, ended):
    payload = run["payload"]
    if not isinstance(payload, dict) or "figures" not in payload:
        raise Final("the payload has no figures")
    with urllib.request.urlopen(payload["figures"], timeout=60) as answer:
        total = sum(json.load(answer))
    return f"the sum of report {payload['id']} is {total}" if "id" in payload else f"the sum is {total}"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    work(
        Client(), "reports", report,
        batch=int(os.environ.get("BATCH", 1)),
        lease_seconds=int(os.environ.get("LEASE_SECONDS", 15)),
        grace_seconds=int(os.environ.get("GRACE_SECONDS", 10)),
    )
