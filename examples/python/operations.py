"""Calls each operation of the contract and checks what each has done. It prints the operationId of
each operation that it calls. The service should be one for tests: it uses the queue `snake`."""
import datetime
import os
import uuid

from punctual import Client, Problem


class Printing(Client):
    def call(self, operation_id, *args, **kwargs):
        answer = super().call(operation_id, *args, **kwargs)
        print(operation_id, flush=True)
        return answer

    def follow(self, *args, **kwargs):
        for event in super().follow(*args, **kwargs):
            print("streamEvents", flush=True)
            yield event


client = Printing()
call = client.call
queue = "snake"
day = 86_400


def days_ago(days):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now - datetime.timedelta(days=days)).isoformat().replace("+00:00", "Z")


def refused(code, *args, **kwargs):
    """Returns the problem that a call ends with, which must have this code."""
    try:
        call(*args, **kwargs)
    except Problem as problem:
        assert problem.code == code, problem
        return problem
    raise AssertionError(f"{args[0]} must be refused with {code}")


def lease():
    leased = call("leaseRuns", {"queue": queue}, body={"maxRuns": 1})
    assert len(leased["runs"]) == 1, leased
    return leased["id"], leased["runs"][0]


assert call("getLiveness") == {"status": "OK"}
assert call("getReadiness") == {"status": "OK"}

# Jobs. An integer of a payload keeps all of its digits.
definition = {
    "name": "snake", "labels": {"team": "snakes"}, "intervalInSeconds": day, "startAt": days_ago(2.5),
    "target": {"type": "worker", "queue": queue}, "payload": {"id": 1970670598291982290},
}
job = call("createJob", body=definition)
of = {"id": job["id"]}
assert job["payload"] == definition["payload"], job
assert call("getJob", of) == job
assert call("listJobs", {"status": ["ACTIVE", "PAUSED"], "labelSelector": "team=snakes"})["items"] == [job]
assert call("updateJob", {**of, "If-Match": '"1"'}, body={"name": "renamed"})["name"] == "renamed"
refused("version-changed", "updateJob", {**of, "If-Match": '"1"'}, body={"name": "lost"})
problem = refused("invalid-request", "updateJob", of, body={"name": ""})
assert [error["field"] for error in problem.errors] == ["name"], problem
versions = call("listJobVersions", of)["items"]
assert versions[0]["changes"] == [{"field": "name", "from": "snake", "to": "renamed"}], versions
assert call("getJobVersion", {**of, "version": 1})["job"]["name"] == "snake"
assert call("listAudit", {"resourceId": job["id"], "limit": 1})["items"][0]["operation"] == "updateJob"
assert call("listUpcoming", {**of, "count": 1})["items"][0]["scheduledFor"] == job["nextRunAt"]
ahead = call("listUpcomingRuns", {"to": days_ago(-0.9), "labelSelector": "team=snakes"})
assert [run["scheduledFor"] for run in ahead["items"]] == [job["nextRunAt"]], ahead
assert len(call("previewSchedule", body={"cron": "@daily", "count": 2})["items"]) == 2

# What happens. An id that the service does not know is answered with what may be missing.
following = client.follow({"jobId": job["id"], "Last-Event-ID": "nobody-knows-1"})
assert next(following)["type"] == "events.lost"
call("updateJob", of, body={"status": "PAUSED"})
paused = next(following)
assert (paused["type"], paused["data"]["jobName"]) == ("job.paused", "renamed"), paused
following.close()
call("updateJob", of, body={"status": "ACTIVE"})

# Jobs by key, and many at once.
by_key = {"key": "snakes/by-key"}
put = call("putJobByKey", {**by_key, "If-None-Match": "*"}, body={"name": "put", "cron": "@daily"})
refused("job-exists", "putJobByKey", {**by_key, "If-None-Match": "*"}, body={"name": "put", "cron": "@daily"})
assert call("getJobByKey", by_key) == put
assert call("deleteJobByKey", by_key) is None
refused("job-not-found", "getJobByKey", by_key)
apply = {"definitions": [
    {"key": f"snakes/{n}", "name": f"snake {n}", "cron": "@daily", "labels": {"applied": "yes"}} for n in range(3)
]}
assert call("applyJobs", body=apply)["created"] == 3
assert call("applyJobs", body=apply)["unchanged"] == 3
applied = call("applyJobs", body={"definitions": apply["definitions"][:2], "prune": "applied"})
assert [item["result"] for item in applied["items"]] == ["UNCHANGED", "UNCHANGED", "PRUNED"], applied
batch = [{"name": "batch", "runAt": "2040-01-31T09:30:00Z", "labels": {"applied": "yes"}}] * 2
assert len(call("createJobs", body={"jobs": batch})["items"]) == 2
changed = call("changeJobs", body={"selector": {"labelSelector": "applied"}, "action": "DELETE"})
assert changed["changed"] == 4, changed
# With one Idempotency-Key, two requests make one job.
once = {"Idempotency-Key": str(uuid.uuid4())}
twice = [call("createJob", once, body={"name": "once", "cron": "@daily"}) for _ in range(2)]
assert twice[0]["id"] == twice[1]["id"], twice

# A run that a worker releases, leases again and completes.
manual = call("runJob", of)
lease_id, run = lease()
assert run["id"] == manual["id"] and run["payload"] == definition["payload"], run
assert call("heartbeat", {"id": lease_id})["canceled"] == []
waiting = [q for q in client.items("listQueues") if q["name"] == queue]
assert waiting[0]["leased"] == 1, waiting
assert call("releaseRun", {"id": run["id"]}, body={"token": run["token"]}) is None
_, run = lease()
call("completeRun", {"id": run["id"]}, body={"token": run["token"], "output": "done"})
assert call("getRun", {"id": run["id"]})["result"]["output"] == "done"
again = call("completeRuns", {"id": lease_id}, body={"reports": [{"runId": run["id"], "token": run["token"]}]})
assert again["results"][0]["code"] == "stale-token", again  # it is completed already

# A run that fails and is retried; the retry is canceled.
doomed = call("runJob", {**of, "overlapPolicy": "ALLOW_ALL"})
_, run = lease()
call("failRun", {"id": doomed["id"]}, body={"token": run["token"], "error": "bitten", "retryable": False})
retried = call("retryRun", {"id": doomed["id"]})
assert retried["retryOf"] == doomed["id"], retried
call("cancelRun", {"id": retried["id"]})
failed = [run["id"] for run in client.items("listJobRuns", {**of, "status": ["FAILED"]})]
assert failed == [doomed["id"]], failed
numbers = call("getJobStats", {**of, "step": "DAY"})
assert numbers["totals"]["failed"] == 1 and not numbers["isCapped"], numbers
assert "<svg" in call("getJobBadge", {**of, "label": "snakes"})
night = {"from": days_ago(1), "to": days_ago(-1), "status": ["FAILED"], "jobId": job["id"]}
assert [run["id"] for run in client.items("listRuns", night)] == failed
latest = call("listRecentRuns", {"jobId": [job["id"]], "count": 30})["items"][0]
assert latest["jobId"] == job["id"] and doomed["id"] in [run["id"] for run in latest["runs"]], latest
attention = {of["problem"]: of["items"] for of in call("getAttention")["jobs"]}
assert set(attention) == {"FAILING", "OVERDUE", "LATE", "PAUSED_BY_SERVICE"}, attention
bulk = call("changeRuns", body={"selector": {"ids": failed}, "action": "RETRY", "dryRun": True})
assert [item["id"] for item in bulk["items"]] == failed, bulk
assert call("backfillJob", of, body={"from": days_ago(2), "to": days_ago(0.1)})["runs"] == 2
assert call("deleteJob", of) is None

# Calendars.
calendar = {"key": "snake-holidays"}
call("createCalendar", body={**calendar, "yearly": ["07-16"]})
longer = call("replaceCalendar", calendar, body={"yearly": ["07-16"], "weekdays": ["SUNDAY"]})
assert longer["weekdays"] == ["SUNDAY"] and call("getCalendar", calendar) == longer, longer
assert longer in call("listCalendars")["items"]
refused("calendar-exists", "createCalendar", body=calendar)
call("deleteCalendar", calendar)

# Connections.
connection = {"key": "snake-pit"}
made = call("createConnection", body={**connection, "baseUrl": "https://example.com/pit"})
assert made["state"] == "UP" and made in call("listConnections")["items"], made
slowed = call("updateConnection", connection, body={"maxPerSecond": 5})
assert slowed["maxPerSecond"] == 5 and call("getConnection", connection) == slowed, slowed
call("deleteConnection", connection)
assert call("getJwks")["keys"] == [], "no token was signed yet"

# Namespaces, keys and instances.
namespace = {"name": "snakes"}
call("createNamespace", body={**namespace, "maxJobs": 100})
assert call("updateNamespace", namespace, body={"maxJobs": None})["maxJobs"] is None
assert call("getNamespace", namespace) in call("listNamespaces")["items"]
inside = Client(namespace="snakes").call("createJob", body={"name": "inside", "cron": "@daily"})
assert inside["namespace"] == "snakes", inside
refused("namespace-not-empty", "deleteNamespace", namespace)
Client(namespace="snakes").call("deleteJob", {"id": inside["id"]})
call("deleteNamespace", namespace)
key = call("createKey", body={"description": "snake", "scopes": ["jobs:read"]})
assert call("getKey", {"id": key["id"]}) in call("listKeys")["items"]
reader = Client(key=key["key"])
assert reader.call("listJobs")["total"] >= 1
os.environ["PUNCTUAL_KEY"] = key["key"]
try:
    Client().call("createJob", body=definition)
except Problem as problem:
    assert (problem.status, problem.code) == (403, "scope-required"), problem
call("revokeKey", {"id": key["id"]})
numbers = call("getStats", {"label": "team=snakes", "step": "HOUR"})
assert numbers["items"][0]["succeeded"] == 0, numbers
assert "jobs:read" in call("getCaller")["scopes"]
assert call("listInstances")["items"], "the instance that answers is listed"
