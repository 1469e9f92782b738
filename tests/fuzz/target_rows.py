# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows as playbooks give them: lists of whatever JSON can say, for every module that declares rows, one task after the other.

Only SiteError may come out of a task; one that was carried out changes nothing the second time, and what the info module then
gives can be declared again without a change. Whatever the tables hold in the end, the plan, the kernel words and the queries of
each node are made, or refused by SiteError.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from typing import Any

import atheris
import harness

with atheris.instrument_imports(include=[harness.COLLECTION]):
    from ansible_collections.diskless.statelite.plugins.module_utils.apply.generations import Generation
    from ansible_collections.diskless.statelite.plugins.module_utils.boot.kernel_args import Root, kernel_words
    from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
    from ansible_collections.diskless.statelite.plugins.module_utils.lite.entry import entries_for
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes import expressions
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.images import image_of, osimage
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.mounts import levels_of, state_of
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.noderange import expand
    from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site
    from ansible_collections.diskless.statelite.plugins.module_utils.tables import things
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.rows import plan_rows, read_rows
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store

expressions.LIMIT = 0.02
THINGS = [thing for _name, thing in sorted(vars(things).items()) if isinstance(thing, things.Thing)]
BEGINNING = {
    "node": [{"node": "n1", "groups": ["all"], "ip": "10.0.0.11", "mac": "52:54:00:77:00:11"}],
    "nodegroup": [{"groupname": "all", "nodetype": {"provmethod": "img1"}}],
    "osimage": [{"imagename": "img1", "osvers": "debian12", "osarch": "x86_64", "profile": "c", "provmethod": "statelite"}],
    "site_setting": [{"key": "master", "value": "10.0.0.1"}],
}
DEFAULTS = {"rows": None, "content": None, "src": None, "state": "present", "exclusive": False, "allow_empty": True}
WORK = harness.work_directory("rows")


def silent(_text: str) -> None:
    """Take a warning."""


def declare(site: str, thing: things.Thing, rows: list[Any], **options: Any) -> None:
    """Run one task."""
    params = {**DEFAULTS, "site": site, "rows": rows, **options}
    plan = plan_rows(thing, params, silent)
    lines = plan.lines()
    plan.result()
    if lines:
        plan.apply()
        again = plan_rows(thing, params, silent).lines()
        harness.expect(not again, f"{thing.name} {rows!r} {options}: a second run changes {again}")


def begin() -> None:
    site = str(WORK / "begin" / "site.db")
    for thing in THINGS:
        declare(site, thing, BEGINNING.get(thing.name, []))


begin()


def tasks(data: bytes) -> Iterator[tuple[things.Thing, list[Any], dict[str, Any]]]:
    """Yield thing, rows and options of each task; tasks are separated by the byte 0x1e, each begins with two numbers."""
    for part in data.split(b"\x1e")[:4]:
        given = harness.Input(part)
        thing, switches = THINGS[given.below(len(THINGS))], given.below(8)
        try:
            rows = json.loads(given.texts(1)[0])
        except (ValueError, RecursionError):
            continue
        options: dict[str, Any] = {"exclusive": bool(switches & 1), "state": "absent" if switches & 4 else "present"}
        yield thing, rows if isinstance(rows, list) else [rows], options


def one(data: bytes) -> None:
    shutil.rmtree(WORK / "site", ignore_errors=True)
    shutil.copytree(WORK / "begin", WORK / "site")
    site = str(WORK / "site" / "site.db")
    written = False
    for thing, rows, options in tasks(data):
        with contextlib.suppress(SiteError):
            declare(site, thing, rows, **options)
            written = True
    if written:
        told(site)
        looked_at(site)


def told(site: str) -> None:
    """Declare what each info module gives."""
    for thing in THINGS:
        rows = read_rows(thing, {"site": site, **dict.fromkeys(thing.table.key)}, silent)["rows"]
        if rows:
            lines = plan_rows(thing, {**DEFAULTS, "site": site, "rows": rows}, silent).lines()
            harness.expect(not lines, f"{thing.name}: declaring what is told changes {lines}")


def looked_at(site: str) -> None:
    """Make everything that is made of the tables for each node."""
    with open_store(site) as store:
        view = Site(store.tables(), ("10.0.0.1",))
    for group in ("all", "few", "n1-n9", "/n.*"):
        with contextlib.suppress(SiteError):
            expand(view, group)
    with contextlib.suppress(SiteError):
        view.node_at("10.0.0.11")
    for node in view.nodes()[:3]:
        with contextlib.suppress(SiteError):
            image = osimage(view, image_of(view, node))
            for ask in (
                lambda image=image: entries_for(view, image.name),
                lambda image=image, node=node: levels_of(view, node, image),
                lambda image=image, node=node: state_of(view, node, image),
                lambda image=image, node=node: kernel_words(view, node, Root(image, Generation(image.rootimgdir, 1))),
            ):
                with contextlib.suppress(SiteError):
                    ask()


if __name__ == "__main__":
    harness.fuzz(one)
