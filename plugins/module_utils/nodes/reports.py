# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How nodes booted, read from the spool of the answer service."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from ..tables.store import DEFAULT_SITE, open_store
from .noderange import expand, read_names
from .site import Site

SPOOL = "/var/spool/statelite/reports"
SPEC: dict[str, dict[str, Any]] = {
    "noderange": {"type": "str"},
    "spool": {"type": "path", "default": SPOOL},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
FAILURE = ".failure.json"
GOOD = ".json"
FULL = 90
"""Per cent of /.statelite from which on a person is told."""
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


def file_of(node: str) -> str:
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


def _received(document: Document) -> float:
    """Return when a server was told, 0 without a time."""
    seconds = document.get("received")
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def _failed(report: Mapping[str, Any], what: str, name: str) -> list[Document]:
    """Return (name, status, message, and seconds where they are told) of what failed or was skipped in a list of the report."""
    found = report.get(what)
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    lost = [entry for entry in entries if entry.get("status") in ("failed", "skipped")]
    words = (name, "status", "message")
    return [{**{word: str(entry.get(word)) for word in words}, **_numbers(entry, ("seconds",))} for entry in lost]


def _numbers(found: Any, words: Sequence[str]) -> Document:
    """Return those of some values of a document that are whole numbers."""
    known = found if isinstance(found, dict) else {}
    return {word: known[word] for word in words if isinstance(known.get(word), int) and not isinstance(known[word], bool)}


def _fill(room: Document) -> int:
    """Return how full /.statelite was, in per cent, of bytes or of inodes, whichever is worse."""
    shares = [(room.get("used", 0), room.get("size", 0)), (room.get("inodes_used", 0), room.get("inodes", 0))]
    return max((100 * used // whole for used, whole in shares if whole > 0), default=0)


def _disk(report: Mapping[str, Any]) -> Document:
    """Return what a report says of the node's own disk; nothing when it has none to tell of."""
    found = report.get("disk")
    return {word: str(found.get(word)) for word in ("status", "device", "label", "message")} if isinstance(found, dict) else {}


def told_of(node: str, good: Document, failure: Document) -> Document:
    """Return what is known of a node: `state` is booted, failing (it failed since its last good boot) or unknown."""
    if 0 < _received(failure) < _received(good):
        failure = {}  # told to one server before that boot, which was told to another one
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
        "skipped": report.get("skipped", 0),
        "failed_before": good.get("failed_before", 0),
        "disk": _disk(report),
        "room": _numbers(report.get("room"), ("size", "used", "inodes", "inodes_used")),
        "failures": [*_failed(report, "entries", "path"), *_failed(report, "levels", "source")],
        "last_failure": last,
    }


def _cause(failure: Document) -> str:
    """Return why an entry or a level is not there, as a line for a person."""
    tried = f" (tried for {failure['seconds']} s)" if failure.get("seconds") else ""
    skipped = "skipped: " if failure["status"] == "skipped" else ""
    return f"{failure.get('path') or failure.get('source')}: {skipped}{failure['message']}{tried}"


def text_of(told: Document) -> str:
    """Return the same for a person to read: a line a node, and one for each cause below it."""
    node, last = told["node"], told["last_failure"]
    if told["time"]:
        again = f", after {told['failed_before']} failed boots" if told["failed_before"] else ""
        kind = f"{told['image']} {told['generation']} (plan: {told['plan']})"
        counts = f"done {told['done']}, failed {told['failed']}" + (f", skipped {told['skipped']}" if told["skipped"] else "")
        lines = [f"{node}: booted {kind} at {told['time']}{again}: {counts}"]
    else:
        lines = [f"{node}: no report of a boot"]
    if told["disk"].get("message") not in (None, "-"):
        lines.append(f"    local disk: {told['disk']['device']} {told['disk']['status']}: {told['disk']['message']}")
    if _fill(told["room"]) >= FULL:
        lines.append(f"    /.statelite was {_fill(told['room'])} % full when the node started")
    lines += [f"    {_cause(one)}" for one in told["failures"]]
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


def of_nodes(spool: str, names: Iterable[str]) -> list[Document]:
    """Return what is known of each node; raises SiteError with every file that is no report."""
    faults: list[Fault] = []
    nodes = []
    for name in names:
        place = os.path.join(spool, file_of(name))
        nodes.append(told_of(name, _read(place + GOOD, faults), _read(place + FAILURE, faults)))
    raise_faults(faults)
    return nodes


def read_reports(params: Mapping[str, Any], _warn: Callable[[str], None]) -> dict[str, Any]:
    """Return how the nodes of a noderange booted, or all nodes of the site; of no node is what a removed one left in the spool."""
    spool = params["spool"]
    spooled = _names(spool)
    with open_store(params["site"]) as store:
        site = Site(store.tables())
    declared = site.nodes()
    names = sorted(declared) if params["noderange"] is None else list(expand(site, params["noderange"], read_names))
    of_no_node = [] if params["noderange"] is not None else sorted(set(spooled) - {file_of(name) for name in declared})
    nodes = of_nodes(spool, names)
    wrong = [told["node"] for told in nodes if told["state"] != "booted" or told["failures"]]
    remarks = [f"{name}: no node of the site; {spool} has files of it\n" for name in of_no_node]
    text = "".join([*(text_of(told) for told in nodes), *remarks])
    return {"reports": nodes, "troubled": wrong, "of_no_node": of_no_node, "text": text}
