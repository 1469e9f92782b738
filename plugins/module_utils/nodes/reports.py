# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How nodes booted, read from the spool of the answer service."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from ..tables.store import DEFAULT_SITE, open_store
from .noderange import expand
from .site import Site

SPOOL = "/var/spool/statelite/reports"
SPEC: dict[str, dict[str, Any]] = {
    "noderange": {"type": "str"},
    "spool": {"type": "path", "default": SPOOL},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
FAILURE = ".failure.json"
GOOD = ".json"
LIMIT = 1024 * 1024
"""Bytes of a report that are read: more than the service keeps."""

Document = dict[str, Any]


def _names(spool: str) -> list[str]:
    """Return how the names of files in the spool begin, once for each node that it has something of."""
    try:
        names = os.listdir(spool)
    except OSError as error:
        raise SiteError.of(spool, f"can't be read ({error.strerror})", "Run the role answer_service, which makes it") from error
    ours = [name for name in names if name.endswith(GOOD) and not name.startswith(".")]
    return sorted({name[: -len(FAILURE if name.endswith(FAILURE) else GOOD)] for name in ours})


def _file(node: str) -> str:
    """Return how the names of a node's files in the spool begin."""
    return node.replace("/", "_")


def _read(path: str, faults: list[Fault]) -> Document:
    """Return a file of the spool, empty when there is none."""
    try:
        with open(path, "rb") as stream:
            text = stream.read(LIMIT + 1)
        document = json.loads(text)
        if len(text) > LIMIT or not isinstance(document, dict):
            raise ValueError("not one of ours")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        faults.append(Fault(path, f"is no report ({error})", "Remove it; the node sends another one when it boots"))
        return {}
    return document


def _moment(seconds: Any) -> str | None:
    """Return a time as text, in UTC."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None


def _failed(report: Mapping[str, Any], what: str, name: str) -> list[Document]:
    """Return (name, message) of what failed in a list of the report."""
    found = report.get(what)
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return [{name: str(entry.get(name)), "message": str(entry.get("message"))} for entry in entries if entry.get("status") == "failed"]


def _disk(report: Mapping[str, Any]) -> Document:
    """Return what a report says of the node's own disk; nothing when it has none to tell of."""
    found = report.get("disk")
    return {word: str(found.get(word)) for word in ("status", "device", "label", "message")} if isinstance(found, dict) else {}


def told_of(node: str, good: Document, failure: Document) -> Document:
    """Return what is known of a node: `state` is booted, failing (it failed since its last good boot) or unknown."""
    report = good.get("report")
    report = report if isinstance(report, dict) else {}
    state = "failing" if failure else "booted" if good else "unknown"
    last = {name: failure.get(name) for name in ("attempts", "stage", "message", "image", "generation")} if failure else None
    if last is not None:
        last["time"] = _moment(failure.get("received"))
    return {
        "node": node,
        "state": state,
        "time": _moment(good.get("received")),
        **{name: report.get(name) for name in ("image", "generation", "plan", "done", "failed")},
        "failed_before": good.get("failed_before", 0),
        "disk": _disk(report),
        "failures": [*_failed(report, "entries", "path"), *_failed(report, "levels", "source")],
        "last_failure": last,
    }


def text_of(told: Document) -> str:
    """Return the same for a person to read: a line a node, and one for each cause below it."""
    node, last = told["node"], told["last_failure"]
    if told["time"]:
        again = f", after {told['failed_before']} failed boots" if told["failed_before"] else ""
        kind = f"{told['image']} {told['generation']} (plan: {told['plan']})"
        lines = [f"{node}: booted {kind} at {told['time']}{again}: done {told['done']}, failed {told['failed']}"]
    else:
        lines = [f"{node}: no report of a boot"]
    if told["disk"].get("message") not in (None, "-"):
        lines.append(f"    local disk: {told['disk']['device']} {told['disk']['status']}: {told['disk']['message']}")
    lines += [f"    {one.get('path') or one.get('source')}: {one['message']}" for one in told["failures"]]
    if last is not None:
        lines.append(f"    failed {last['attempts']} times since then, last at {last['time']}, {last['stage']}: {last['message']}")
    return "".join(f"{line}\n" for line in lines)


def spooled_boots(spool: str) -> list[tuple[str, str, str]]:
    """Return (node, image, generation) of each boot that the spool tells of, the last good one of a node and the last failed one.

    Raises SiteError for a spool or a file in it that can't be read.
    """
    faults: list[Fault] = []
    found = []
    for name in _names(spool):
        place = os.path.join(spool, name)
        good, failure = _read(place + GOOD, faults), _read(place + FAILURE, faults)
        report = good.get("report")
        for told in (report if isinstance(report, dict) else {}, failure):
            image, generation = told.get("image"), told.get("generation")
            if image and generation:
                found.append((name, str(image), str(generation)))
    raise_faults(faults)
    return found


def read_reports(params: Mapping[str, Any], _warn: Callable[[str], None]) -> dict[str, Any]:
    """Return how the nodes of a noderange booted, or all nodes of the site; of no node is what a removed one left in the spool."""
    spool = params["spool"]
    spooled = _names(spool)
    with open_store(params["site"]) as store:
        site = Site(store.tables())
    declared = site.nodes()
    names = sorted(declared) if params["noderange"] is None else list(expand(site, params["noderange"]))
    of_no_node = [] if params["noderange"] is not None else sorted(set(spooled) - {_file(name) for name in declared})
    faults: list[Fault] = []
    nodes = []
    for name in names:
        place = os.path.join(spool, _file(name))
        nodes.append(told_of(name, _read(place + GOOD, faults), _read(place + FAILURE, faults)))
    raise_faults(faults)
    wrong = [told["node"] for told in nodes if told["state"] != "booted" or told["failures"]]
    remarks = [f"{name}: no node of the site; {spool} has files of it\n" for name in of_no_node]
    text = "".join([*(text_of(told) for told in nodes), *remarks])
    return {"reports": nodes, "troubled": wrong, "of_no_node": of_no_node, "text": text}
