"""A worker that runs commands which its operator has allowed, such as the lines of a crontab.

    punctual crontab import --commands commands.json my.crontab >jobs.yaml
    punctual jobs apply -f jobs.yaml
    python3 commands.py commands.json commands   # the list and the queue

The list is a JSON object: a name, and the program with its arguments. A job says only the name
(`{"command": "backup"}`), so whoever can change jobs cannot run anything else.
"""
import json
import logging
import os
import signal
import subprocess
import sys

from punctual import Client
from worker import Final, work

MAX_OUTPUT = 4096  # the service keeps no more


def runner(allowed):
    """Returns what executes a run, by a list of allowed commands."""
    def execute(run, ended):
        payload = run["payload"]
        name = payload.get("command") if isinstance(payload, dict) else None
        if name not in allowed:
            raise Final(f"there is no allowed command {name!r}")
        # A session of its own, so that what the command has started can be stopped with it.
        process = subprocess.Popen(
            allowed[name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "PUNCTUAL_RUN_ID": run["id"]},
        )
        while True:
            try:
                output, _ = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if ended.is_set():
                    os.killpg(process.pid, signal.SIGKILL)
        text = output[-MAX_OUTPUT:].decode(errors="replace")
        if process.returncode != 0:
            raise RuntimeError(f"exit code {process.returncode}: {text}")
        return text
    return execute


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    with open(sys.argv[1], encoding="utf-8") as file:
        commands = json.load(file)
    work(Client(), sys.argv[2] if len(sys.argv) > 2 else "commands", runner(commands))
