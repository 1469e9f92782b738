# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each command of a node is answered, from the published site and the layouts in the images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..errors import SiteError
from ..lite.entry import entry_of, liteattach_of
from ..lite.nodeplan import compile_plan
from ..lite.served import Layouts, generation_of
from ..lite.statelessplan import stateless_plan
from ..nodes.images import image_of, osimage, rows_for_image
from ..nodes.mounts import levels_of
from ..nodes.noderange import expand
from ..nodes.site import Site
from ..tables.lite import MTAB
from . import policy, protocol
from .spool import Spool

OURS = ("bootplan", "bootreport", "bootfailure")
"""Commands after whose answer the connection ends: the agent asks one thing at a time."""

WRITING = ("bootreport", "bootfailure")
"""Commands whose answer waits for a disk."""

ORIGINAL_WORDS = {
    "tmpfs": ("link", "tmpfs"),
    "persistent": ("link,persistent", "persistent"),
    "ro": ("link,ro", "ro"),
    "con": ("link,con", "con"),
}


@dataclass
class Desk:
    """Where answers come from: the site as one connection sees it, the spool, and layouts read before."""

    site: Site
    spool: Spool
    layouts: Layouts
    source: str


Handler = Callable[[Desk, str, str, protocol.Request], bytes]


def answering(desk: Desk, node: str, address: str, request: protocol.Request) -> Callable[[], bytes]:
    """Return what gives the whole answer to one request of `node`; whether it is allowed is decided here.

    Of the commands in WRITING it may be called in another thread; a fault of the site is an answer too.
    """
    try:
        handler = COMMANDS.get(request.command)
        if handler is None or not allowed(desk.site, node, address, request):
            return protocol.denied
    except SiteError as error:
        return partial(protocol.trouble, desk.source, str(error))
    return partial(_guarded, handler, desk, node, address, request)


def answer(desk: Desk, node: str, address: str, request: protocol.Request) -> bytes:
    """Return the whole answer to one request of `node`."""
    return answering(desk, node, address, request)()


def _guarded(handler: Handler, desk: Desk, node: str, address: str, request: protocol.Request) -> bytes:
    try:
        return handler(desk, node, address, request)
    except SiteError as error:
        return protocol.trouble(desk.source, str(error))


def allowed(site: Site, node: str, address: str, request: protocol.Request) -> bool:
    """Return whether the policy table lets the node ask this.

    A plan says what litefile and litetree say, so where no row names our own commands it is allowed with those two;
    a report is allowed with the plan.
    """

    # Made once for each revision of the tables: a noderange may hold the whole site.
    ranges = site.once(("policy", "noderanges"), lambda: _ranges(site))

    def verdict(command: str) -> bool | None:
        rows = site.rows("policy")
        return policy.decide(rows, policy.Asked(command, "", (node, address), request.arguments, (node,)), ranges)

    found = verdict(request.command)
    if found is None and request.command in OURS:
        return bool(verdict("litefile") and verdict("litetree"))
    return bool(found)


def _ranges(site: Site) -> dict[str, frozenset[str]]:
    """Return the nodes of every noderange of the policy table, as it is written."""
    return {row["noderange"].strip(): frozenset(_members(site, row["noderange"])) for row in site.rows("policy") if row.get("noderange")}


def _members(site: Site, noderange: str) -> list[str]:
    try:
        return list(expand(site, noderange.strip()))
    except SiteError:
        return []


def original_options(written: str, storage: str, attachment: str, liteattach: str) -> str:
    """Return an option in the words of the original client, for which a bare word means bind and `link` a link."""
    if written == "" or written == "ALL":
        return "tmpfs,rw"
    if liteattach == "bind" and "bind" not in written.split(","):
        return written
    if storage not in ORIGINAL_WORDS:
        return storage
    return ORIGINAL_WORDS[storage][0 if attachment == "link" else 1]


def _litefile(desk: Desk, node: str, _address: str, _request: protocol.Request) -> bytes:
    image = osimage(desk.site, image_of(desk.site, node))
    liteattach = liteattach_of(desk.site, image.name)
    found = {MTAB: "link"}
    for row in rows_for_image(desk.site, "litefile", image):
        entry = entry_of(row, liteattach)
        written = "" if entry.path == MTAB else (row.get("options") or "").strip()
        found[row["file"]] = original_options(written, entry.storage, entry.attachment, liteattach)
    return protocol.answer(desk.source, [protocol.litefile_line(node, options, path) for path, options in sorted(found.items())])


def _litetree(desk: Desk, node: str, _address: str, _request: protocol.Request) -> bytes:
    image = osimage(desk.site, image_of(desk.site, node))
    levels = levels_of(desk.site, node, image)
    return protocol.answer(desk.source, [protocol.litetree_line(node, one.server, one.directory, one.mntopts) for one in levels])


def _bootplan(desk: Desk, node: str, _address: str, request: protocol.Request) -> bytes:
    image = osimage(desk.site, request.named("image") or image_of(desk.site, node))
    generation = generation_of(image, request.named("generation"))
    number = "-" if generation.number is None else str(generation.number)
    if request.named("method") == "stateless":
        plan = stateless_plan(desk.site, node, image, number)
    else:
        plan = compile_plan(desk.site, node, desk.layouts.of(image, generation), image, number)
    return protocol.bundle(desk.source, plan.text().rstrip("\n").split("\n"))


def _bootreport(desk: Desk, node: str, address: str, request: protocol.Request) -> bytes:
    try:
        desk.spool.take_report(node, address, json.loads(request.arguments[0]))
    except (IndexError, ValueError, RecursionError) as error:
        raise SiteError.of(f"boot report of {node}", f"is not JSON ({error})", "Look at /.statelite/report.json on the node") from error
    return protocol.bundle(desk.source, ["taken"])


def _bootfailure(desk: Desk, node: str, address: str, request: protocol.Request) -> bytes:
    told = {name: request.named(name) for name in ("stage", "message", "image", "generation", "once")}
    attempts = desk.spool.take_failure(node, address, told)
    return protocol.bundle(desk.source, [str(attempts)])


COMMANDS: dict[str, Handler] = {
    "litefile": _litefile,
    "litetree": _litetree,
    "bootplan": _bootplan,
    "bootreport": _bootreport,
    "bootfailure": _bootfailure,
}
