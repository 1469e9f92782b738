# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes boot next, as their boot files say it (the original's `nodeset stat`), and where each kernel word comes from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..apply import overrides
from ..apply.addresses import local_addresses
from ..apply.files import read_bytes
from ..errors import Fault, SiteError, raise_faults
from ..nodes.images import image_of
from ..nodes.noderange import expand, read_names
from ..nodes.reports import SPOOL
from ..nodes.site import Site
from ..tables.store import DEFAULT_SITE, open_store
from .kernel_args import TOLD
from .planner import Planner, told_words
from .record import record_path

INFO_SPEC: dict[str, Any] = {
    "noderange": {"type": "str", "required": True},
    "words": {"type": "bool", "default": False},
    "spool": {"type": "path", "default": SPOOL},
    "site": {"type": "str", "default": DEFAULT_SITE},
}
"""Options of the module nodeset_info."""


def read_info(params: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the state of each node, and with `words` what its kernel line would be made of now.

    Raises SiteError with every node that has no boot method, and with `words` everything that keeps one from booting its image.
    """
    with open_store(params["site"]) as store:
        site = Site(store.tables(), local_addresses())
    nodes = expand(site, params["noderange"], read_names)
    planner = Planner(site, warn)
    told = {node: _standing(planner, node) for node in nodes}
    pending = overrides.read(overrides.path_in(os.path.dirname(record_path(params["site"]))))
    for node in nodes:
        told[node]["once"] = _once(pending[node], node, params.get("spool") or SPOOL) if node in pending else None
    if params.get("words"):
        for node in nodes:
            try:
                planner.boots(node, image_of(site, node), None)
            except SiteError as error:
                planner.faults.extend(error.faults)
    faults: list[Fault] = planner.faults
    raise_faults(dict.fromkeys(faults))
    for node, words in told_words(planner.words).items():
        told[node]["words"] = words
    return {"nodes": told}


def _once(override: overrides.Override, node: str, spool: str) -> dict[str, Any]:
    """Return what a node boots once: until when that is waited for, what comes after it, and why it is over, if it is."""
    over = override.over(node, spool, time.time())
    until = datetime.fromtimestamp(override.until, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"state": override.state, "image": override.image, "until": until, "then": override.then.state, "over": over}


def _standing(planner: Planner, node: str) -> dict[str, Any]:
    """Return what a node's own boot file says."""
    method = planner.checks.method(node, planner.faults)
    if method is None:
        return {}
    path = os.path.join(planner.files(node).tftpdir, method.main(node))
    content = read_bytes(path)
    text = None if content is None else content.decode(errors="replace")
    state = method.absent if text is None else method.comment(text) or "unknown"
    words = dict(TOLD.findall(text or ""))
    number = words.get("generation")
    return {"state": state, "method": method.name, "file": path, "image": words.get("image"), "generation": int(number) if number else None}
