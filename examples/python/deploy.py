"""Makes the jobs of Punctual be as the JSON files of a directory say. It is what a CI does that does
not have the command `punctual jobs apply`.

    python3 deploy.py DIRECTORY [--prune SELECTOR] [--dry-run]

A file has one definition, or a list of them. All of them are applied in one transaction, so that a
mistake in one of them changes nothing, and to deploy twice changes nothing the second time.
"""
import argparse
import json
import pathlib
import sys

from punctual import Client, Problem

parser = argparse.ArgumentParser(description="Make jobs be as the files of a directory say.")
parser.add_argument("directory", type=pathlib.Path)
parser.add_argument("--prune", metavar="SELECTOR", help="delete jobs with these labels that no file has")
parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
args = parser.parse_args()

definitions, files = [], []
for file in sorted(args.directory.rglob("*.json")):
    content = json.loads(file.read_text(encoding="utf-8"))
    for definition in content if isinstance(content, list) else [content]:
        definitions.append(definition)
        files.append(file)
if not definitions:
    sys.exit(f"{args.directory} has no definitions")  # or a typing error would prune all jobs

body = {"definitions": definitions, "dryRun": args.dry_run}
if args.prune:
    body["prune"] = args.prune
try:
    applied = Client().call("applyJobs", body=body)
except Problem as problem:
    for error in problem.errors:  # the field is such as definitions.7.cron
        place, _, field = error["field"].removeprefix("definitions.").partition(".")
        print(f"{files[int(place)] if place.isdigit() else args.directory}: {field}: {error['detail']}")
    sys.exit(str(problem))
except OSError as error:
    sys.exit(f"the service cannot be reached: {error}")
for job in applied["items"]:
    if job["result"] != "UNCHANGED":
        print(job["result"], job["key"], *(change["field"] for change in job["fields"]))
print(f"{len(definitions)} jobs:", *(f"{applied[n]} {n}" for n in ("created", "changed", "unchanged", "pruned")))
