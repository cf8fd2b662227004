"""A client of Punctual that needs Python 3.9 and nothing else.

It reads the contract from the service, so each operation of the contract can be called by its
operationId, which /docs lists:

    client = Client("http://localhost:3000")
    job = client.call("createJob", body={"name": "hello", "intervalInSeconds": 60})
    runs = client.call("listJobRuns", {"id": job["id"], "status": ["FAILED"]})

The names of parameters are part of the contract too: one that the operation does not have
raises ValueError before anything is sent.
"""
import functools
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


class Problem(Exception):
    """The service has refused a request. `code` is stable; `detail` is for people."""

    def __init__(self, status, problem, retry_after=None):
        self.status = status
        self.code = problem.get("code", "")
        self.detail = problem.get("detail", "")
        self.errors = problem.get("errors", [])  # the invalid fields of the request
        self.retry_after = retry_after  # seconds, or None if the service does not say
        fields = "".join(f"; {e['field']}: {e['detail']}" for e in self.errors)
        super().__init__(f"{status} {self.code}: {self.detail}{fields}")


class Client:
    def __init__(self, url=None, key=None, namespace=None, *, retries=5):
        """What is not given comes from PUNCTUAL_URL, PUNCTUAL_KEY and PUNCTUAL_NAMESPACE.

        Only a key that is not bound to one namespace needs a namespace. `retries` is how often a
        request is repeated while the service cannot serve it.
        """
        self.url = (url or os.environ.get("PUNCTUAL_URL") or "http://localhost:3000").rstrip("/")
        self.headers = {}
        if key := key or os.environ.get("PUNCTUAL_KEY"):
            self.headers["Authorization"] = f"Bearer {key}"
        if namespace := namespace or os.environ.get("PUNCTUAL_NAMESPACE"):
            self.headers["Punctual-Namespace"] = namespace
        self.retries = retries

    def call(self, operation_id, parameters=None, *, body=None, retries=None, timeout=60):
        """Calls an operation and returns the decoded answer, or None if the answer is empty.

        `parameters` are those of the path, the query and the headers, by name. Integers keep all
        of their digits; other numbers of the answer become floats.

        Raises Problem if the service refuses, and OSError if it cannot be reached. A request that
        gets 429 or 503 was not served, so it is repeated. One that gets no answer may have been
        served: it is repeated only if that is harmless. A POST has an Idempotency-Key for that,
        wherever the contract has one.
        """
        operation = self._operation(operation_id)
        method = operation["method"]
        parameters = dict(parameters or {})
        if "Idempotency-Key" in operation["parameters"]:
            parameters.setdefault("Idempotency-Key", str(uuid.uuid4()))
        path, headers = self._address(operation, parameters)
        return self._repeat(
            lambda: self._send(method, path, headers, body, timeout),
            self.retries if retries is None else retries,
            is_harmless=method != "POST" or "Idempotency-Key" in parameters,
        )

    def items(self, operation_id, parameters=None):
        """Returns the items of all pages of a list, one by one."""
        parameters = {"limit": 100, **(parameters or {})}
        while True:
            page = self.call(operation_id, parameters)
            yield from page["items"]
            if "nextCursor" not in page:
                return
            parameters["cursor"] = page["nextCursor"]

    def follow(self, parameters=None, *, timeout=30):
        """Yields what happens (streamEvents), event by event, without an end.

        It connects again when the connection is lost, and goes on where it was. An event of the
        type `events.lost` says that some may be missing. The service sends something at least
        every 15 seconds, so `timeout` should be longer. Raises as `call` does.
        """
        operation = self._operation("streamEvents")
        parameters = dict(parameters or {})
        while True:
            path, headers = self._address(operation, parameters)
            stream = self._repeat(
                lambda: self._open("GET", path, headers, None, timeout), self.retries, is_harmless=True
            )
            with stream:
                try:
                    for place, data in _events(stream):
                        if place:
                            parameters["Last-Event-ID"] = place
                        if data:
                            yield json.loads(data)
                except (OSError, http.client.HTTPException):
                    pass  # the connection is lost
            time.sleep(_pause(0))

    @functools.cached_property
    def operations(self):
        """The operations of the contract by operationId: method, path and parameters."""
        contract = self._repeat(
            lambda: self._send("GET", "/openapi.json", {}, None, 60), self.retries, is_harmless=True
        )
        return dict(_operations(contract))

    def _operation(self, operation_id):
        try:
            return self.operations[operation_id]
        except KeyError:
            raise ValueError(f"the contract has no operation {operation_id}") from None

    def _address(self, operation, parameters):
        """Returns the path with the query, and the headers, of a request."""
        path, query, headers = operation["path"], {}, {}
        for name, value in parameters.items():
            place = operation["parameters"].get(name)
            if place == "path":
                path = path.replace("{" + name + "}", urllib.parse.quote(_text(value), safe=""))
            elif place == "query":
                query[name] = _text(value)
            elif place == "header":
                headers[name] = _text(value)
            else:
                raise ValueError(f"the operation has no parameter {name}")
        if "{" in path:
            raise ValueError(f"a parameter of the path is missing: {path}")
        return path + ("?" + urllib.parse.urlencode(query) if query else ""), headers

    def _repeat(self, send, retries, is_harmless):
        """Sends a request until it is served, with growing pauses."""
        for retry in range(retries + 1):
            try:
                return send()
            except Problem as problem:
                if problem.status not in (429, 503) or retry == retries:
                    raise
                pause = problem.retry_after or _pause(retry)
            except OSError:
                if not is_harmless or retry == retries:
                    raise
                pause = _pause(retry)
            time.sleep(pause)

    def _open(self, method, path, headers, body, timeout):
        """Sends a request and returns the answer, which is to be read and closed."""
        headers = {**self.headers, **headers, "Accept": "application/json, text/event-stream"}
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            raise _problem(error) from None
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error

    def _send(self, method, path, headers, body, timeout):
        try:
            with self._open(method, path, headers, body, timeout) as answer:
                content, kind = answer.read(), answer.headers.get_content_type()
        except http.client.HTTPException as error:  # the answer breaks off
            raise ConnectionError(str(error)) from error
        if not kind.endswith("json"):  # the badge of a job is a picture
            return content.decode() or None
        return json.loads(content) if content else None


def _events(stream):
    """Yields the id and the data of each server-sent event. An id without data is a place only."""
    place = data = ""
    for line in stream:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "id":
            place = value
        elif name == "data":
            data = value  # the service sends one line
        elif not name and (place or data):
            yield place, data
            place = data = ""


def _operations(contract):
    """Yields the id of each operation, and what is needed to call it."""
    shared = contract["components"]["parameters"]

    def resolve(parameter):
        return shared[parameter["$ref"].split("/")[-1]] if "$ref" in parameter else parameter

    for path, item in contract["paths"].items():
        for method in item.keys() - {"parameters"}:
            given = map(resolve, item.get("parameters", []) + item[method].get("parameters", []))
            yield item[method]["operationId"], {
                "method": method.upper(), "path": path, "parameters": {p["name"]: p["in"] for p in given},
            }


def _text(value):
    """Returns a parameter as text. A list is separated by commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(_text, value)) if isinstance(value, (list, tuple)) else str(value)


def _problem(error):
    """Reads the problem that the service has answered with. A proxy may answer something else."""
    try:
        problem = json.loads(error.read())
    except (OSError, ValueError):
        problem = None
    retry_after = error.headers.get("Retry-After", "")
    return Problem(
        error.code,
        problem if isinstance(problem, dict) else {"detail": error.reason},
        int(retry_after) if retry_after.isdigit() else None,
    )


def _pause(retry):
    """Returns how long to wait before a repetition. Many clients do not come at the same time."""
    return random.uniform(0.5, 1) * min(2 ** retry, 30)
