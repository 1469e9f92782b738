# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until nodes have reported a boot that began after a moment, and tell of those that have not how far they came."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from ..nodes.interfaces import boot_mac, colons, entries
from ..nodes.noderange import expand
from ..nodes.reports import FAILURE, GOOD, SPOOL, file_of, of_nodes
from ..nodes.servers import resolve, service_nodes
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .evidence import ACCESS_LOG, Trace, cause, read_logs, traces

SPEC: dict[str, dict[str, Any]] = {
    "noderange": {"type": "str", "required": True},
    "since": {"type": "int"},
    "timeout": {"type": "int", "default": 900},
    "poll": {"type": "int", "default": 2},
    "access_log": {"type": "path", "default": ACCESS_LOG},
    "spool": {"type": "path", "default": SPOOL},
    "service_nodes": {"type": "dict", "default": {}},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""The options of the module."""

Document = dict[str, Any]


def _stamp(path: str) -> float:
    """Return when a file of the spool was written, 0 when it is not there."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def wait(spool: str, nodes: Iterable[str], since: int, timeout: float, poll: float) -> list[str]:
    """Wait until all nodes have reported, at most `timeout` seconds; return those that have not."""
    ends = time.monotonic() + timeout
    left = list(nodes)
    while True:
        left = [node for node in left if _stamp(os.path.join(spool, file_of(node) + GOOD)) < since]
        rest = ends - time.monotonic()
        if not left or rest <= 0:
            return left
        time.sleep(min(poll, rest))


def booted(told: Mapping[str, Any]) -> Document:
    """Return what is said of a node that has reported, from what boot_report_info tells of it."""
    failures = [f"{one.get('path') or one.get('source')}: {one['message']}" for one in told["failures"]]
    return {"state": "booted", "cause": "; ".join(failures), "time": told["time"]}


def failing(told: Mapping[str, Any]) -> Document:
    """Return what is said of a node whose boot failed."""
    last = told["last_failure"]
    why = f"failed {last['attempts']} times, last at {last['time']}, {last['stage']}: {last['message']}"
    return {"state": "failing", "cause": why, "time": None}


def serving(site: Site, nodes: Iterable[str], named: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return who serves each node, in the order of its `servicenode`: nobody is the management node.

    `named` are servers with their names and addresses; one that is not among them is told of by its address. Names that the table
    hosts does not have count for nothing. Raises SiteError with every service node of a row that has no address.
    """
    by_address: dict[str, str] = {}
    for server, words in named.items():
        for word in words:
            try:
                by_address.setdefault(resolve(site, word, "option service_nodes"), server)
            except SiteError:
                continue
    found: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for node in nodes:
        try:
            found[node] = list(dict.fromkeys(by_address.get(address, address) for address in service_nodes(site, node)))
        except SiteError as error:
            faults.extend(error.faults)
    raise_faults(dict.fromkeys(faults))
    return found


def read_boots(params: Mapping[str, Any], _warn: Callable[[str], None]) -> Document:
    """Return how the nodes of a noderange booted since a moment, after all have reported or the time is over."""
    now = int(time.time())
    since = now if params["since"] is None else params["since"]
    for name, least in (("timeout", 0), ("poll", 1)):
        if params[name] < least:
            raise SiteError.of(f"option {name}", f"{params[name]} seconds", f"Write {least} or more")
    with open_store(params["site"]) as store:
        site = Site(store.tables())
    nodes, spool = list(expand(site, params["noderange"])), params["spool"]
    servers = serving(site, nodes, _named(params["service_nodes"]))
    if not os.path.isdir(spool):
        raise SiteError.of(spool, "is no directory", "Run the role answer_service, which makes it")
    left = set(wait(spool, nodes, since, params["timeout"], params["poll"])) if since <= now else set(nodes)
    told, damaged = _told(spool, nodes)
    found, logged = _found(site, left, since, params["access_log"]) if left else ({}, True)
    states: dict[str, Document] = {}
    for node in nodes:
        if node in damaged:
            states[node] = {"state": "missing", "cause": damaged[node], "time": None}
        elif node not in left:
            states[node] = booted(told[node])
        elif told[node]["last_failure"] and _stamp(os.path.join(spool, file_of(node) + FAILURE)) >= since:
            states[node] = failing(told[node])
        else:
            why = cause(found.get(node, Trace()), colons(boot_mac(site, node) or ""), logged)
            states[node] = {"state": "missing", "cause": why, "time": None}
    for node, told_of in states.items():
        told_of["servers"] = servers[node]
    troubled = [node for node in nodes if states[node]["state"] != "booted" or states[node]["cause"]]
    text = "".join(f"{node}: {one['state']}{': ' if one['cause'] else ''}{one['cause']}\n" for node, one in states.items())
    return {"nodes": states, "troubled": troubled, "text": text, "now": now}


def _named(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the option service_nodes; raises SiteError with every server whose names are no list of texts."""
    faults = []
    for server, words in given.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            faults.append(
                Fault(f"option service_nodes, {server}", f"{words!r} is no list of names and addresses", f"Write {server}: [ADDRESS]")
            )
    raise_faults(faults)
    return dict(given)


def _told(spool: str, nodes: Iterable[str]) -> tuple[dict[str, Document], dict[str, str]]:
    """Return what is known of each node, and for those with a file in the spool that is no report, what is wrong with it."""
    told, damaged = {}, {}
    for node in nodes:
        try:
            told.update({one["node"]: one for one in of_nodes(spool, [node])})
        except SiteError as error:
            damaged[node] = str(error)
    return told, damaged


def _found(site: Site, left: Iterable[str], since: int, log: str) -> tuple[dict[str, Trace], bool]:
    """Return what the daemons logged of nodes, and whether there was a journal."""
    macs = {colons(mac): node for node in left for mac, _name in entries(site, node)}
    addresses = {address: node for node in left for address in [site.address(node)] if address}
    lines, requests, logged = read_logs(since, log)
    return traces(lines, requests, macs, addresses), logged
