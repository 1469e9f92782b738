# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for table_import: CSV, JSON lines, stanzas, for every table.

Only SiteError may come out; what was refused leaves the database as it was; what was taken in comes out again in each form,
and nothing that can be taken in makes a reader of the tables fail otherwise than by SiteError.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import atheris
import harness

with atheris.instrument_imports(include=[harness.COLLECTION]):
    from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.exports import plan_export
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.schema import TABLES
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
    from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import

NAMES = ("", *sorted(TABLES))
OPTIONS = {"src": None, "exclusive": True, "allow_empty": False, "doubtful": "refuse", "dest": None}
BEGINNING = [
    ("litefile", "#image,file,options\n,/etc/hosts,\nALL,/var/log/,tmpfs\n"),
    ("nodelist", '#node,groups\nn1,"compute,all"\n'),
    ("nodegroup", "#groupname,grouptype,wherevals\nfew,dynamic,nodelist.node=~n1\n"),
    ("site", "#key,value\nmaster,10.0.0.1\n"),
]
WORK = harness.work_directory("tables")


def options(site: str, table: str, content: str, **more: Any) -> dict[str, Any]:
    return {**OPTIONS, "site": site, "table": table or None, "content": content, **more}


def beginning() -> str:
    """Make the site that every import meets; return its database."""
    site = str(WORK / "begin" / "site.db")
    for table, content in BEGINNING:
        plan_import(options(site, table, content), print).apply()
    return site


def rows(site: str) -> dict[str, list[dict[str, str]]]:
    with open_store(site) as store:
        return store.tables()


FIRST = beginning()
FIRST_ROWS = rows(FIRST)


def fresh(name: str) -> str:
    """Return a copy of the first site."""
    shutil.rmtree(WORK / name, ignore_errors=True)
    shutil.copytree(WORK / "begin", WORK / name)
    return str(WORK / name / "site.db")


def sorted_rows(found: list[dict[str, str]]) -> list[str]:
    return sorted(str(sorted(row.items())) for row in found)


def one(data: bytes) -> None:
    given = harness.Input(data)
    table, switches = given.one_of(NAMES), given.below(16)
    (content,) = given.texts(1)
    params = options(FIRST, table, content, exclusive=bool(switches & 1), allow_empty=bool(switches & 2))
    params["doubtful"] = "disable" if switches & 4 else "refuse"
    before = os.stat(FIRST)
    try:
        plan = plan_import(params, lambda _text: None)
        lines = plan.lines()
        plan.result()
    except SiteError as error:
        harness.expect(str(error).strip() and error.faults, "an error that says nothing")
        after = os.stat(FIRST)
        harness.expect((before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size), "a refused text was written")
        return
    if lines:
        taken_in(params, table)


def taken_in(params: dict[str, Any], table: str) -> None:
    """Carry an import out, and see that every form gives back what is there now."""
    site = fresh("taken")
    plan = plan_import({**params, "site": site}, lambda _text: None)
    plan.apply()
    settled = {**params, "site": site, "exclusive": False}
    harness.expect(not plan_import(settled, lambda _text: None).lines(), "the same text again changes something")
    try:
        objects = plan_export({"site": site, "table": None, "form": "stanza", "dest": None}, print).result()["content"]
    except SiteError:
        objects = ""
    if objects:
        again = plan_import(options(site, "", objects, exclusive=False, doubtful=params["doubtful"]), lambda _text: None)
        # Rows that say nothing besides their key are no part of an object: they may go.
        lines = [line for line in again.lines() if not line.endswith(": removed")]
        harness.expect(not lines, f"the site's own objects change it: {lines} by {objects!r}")
    now = rows(site)
    changed = [name for name in TABLES if now[name] != FIRST_ROWS[name]]
    for name in changed:
        for form in ("csv", "json"):
            text = plan_export({"site": site, "table": name, "form": form, "dest": None}, print).result()["content"]
            again = fresh("again")
            plan_import(options(again, name, text, allow_empty=True, doubtful=params["doubtful"]), print).apply()
            harness.expect(sorted_rows(rows(again)[name]) == sorted_rows(now[name]), f"{form} of {name} gives other rows: {text!r}")


if __name__ == "__main__":
    harness.fuzz(one)
