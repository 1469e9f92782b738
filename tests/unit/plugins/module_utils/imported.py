# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site made as its administrator would: the tables of a recorded case imported whole, as CSV, into a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.tables.options import import_module
from ansible_collections.diskless.statelite.plugins.module_utils.tables.store import open_store
from ansible_collections.diskless.statelite.plugins.module_utils.tables.transfer import plan_import

AROUND = {
    "site": '#key,value,comments,disable\n"master","10.1.0.1",,\n"liteattach","bind",,\n',
    "nodelist": '#node,groups,status,comments,disable\n"n1","compute,all",,,\n"n2","compute,all",,,\n',
    "hosts": '#node,ip,hostnames,otherinterfaces,comments,disable\n"n1","10.1.1.1",,,,\n"n2","10.1.1.2",,,,\n',
    "policy": "#priority,name,host,commands,noderange,parameters,time,rule,comments,disable\n"
    '"4.7",,,"litefile",,,,"allow",,\n"4.8",,,"litetree",,,,"allow",,\n',
}
"""What stood around the recorded cases and is not part of their tables: node n1, the management node, its policy."""


def import_table(site: Path, table: str, text: str) -> list[str]:
    """Put the rows of a CSV text in place of a table's rows, as the module table_import does; return its lines."""
    options = {name: option.get("default") for name, option in import_module()["argument_spec"].items()}
    plan = plan_import({**options, "site": str(site), "table": table, "content": text, "exclusive": True, "allow_empty": True}, print)
    lines = plan.lines()
    if lines:
        plan.apply()
    return lines


def import_site(site: Path, tables: Mapping[str, str], around: Mapping[str, str] | None = None) -> Path:
    """Import CSV texts by table, with what stands around them; return the database."""
    for name, text in {**AROUND, **(around or {}), **{name.removesuffix(".csv"): text for name, text in tables.items()}}.items():
        import_table(site, name, text)
    return site


def import_whole(site: Path, tables: Mapping[str, str], around: Mapping[str, str]) -> Path:
    """Import CSV texts as a directory, in one transaction, with what stands around them; return the database."""
    texts = {**AROUND, **around, **{name.removesuffix(".csv"): text for name, text in tables.items()}}
    dump = site.parent / f"{site.name}.dump"
    dump.mkdir(exist_ok=True)
    for name, text in texts.items():
        (dump / f"{name}.csv").write_text(text, encoding="utf-8")
    options = {name: option.get("default") for name, option in import_module()["argument_spec"].items()}
    plan = plan_import({**options, "site": str(site), "src": str(dump), "exclusive": True, "allow_empty": True}, print)
    if plan.lines():
        plan.apply()
    return site


def tables_of(site: Path) -> dict[str, list[dict[str, str]]]:
    """Return every table of the database."""
    with open_store(str(site)) as store:
        return store.tables()


def steps_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a recorded case of liteimg in order."""
    return [case[key] for key in sorted(case) if key.startswith("step")]


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in the original's CSV form: every set cell in quotes."""
    lines = [",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row) for row in rows]
    return "".join(f"{line}\n" for line in ["#" + ",".join(columns), *lines])
