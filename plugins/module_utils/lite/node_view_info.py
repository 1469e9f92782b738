# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes would see: explained for one path, or simulated as whole trees, today or after an edit of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..apply.addresses import local_addresses
from ..errors import Fault, SiteError, raise_faults
from ..nodes.noderange import expand, read_names
from ..nodes.site import Site
from ..tables.columns import Row, clean
from ..tables.options import site_option
from ..tables.plan import by_key
from ..tables.schema import TABLES, check_rows, check_table
from ..tables.store import open_store
from .explain import explain, text_of
from .faraway import FarServers
from .nodeview import EMPTY_STATE, READ_STATE
from .simulate import Alike, Change, Seen, Sight, Simulation, Wish, alike, changes
from .trees import Places

SPEC: dict[str, dict[str, Any]] = {
    "noderange": {"type": "str", "required": True},
    "path": {"type": "str"},
    "paths": {"type": "list", "elements": "str", "default": []},
    "whole": {"type": "bool", "default": False},
    "digest": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": [READ_STATE, EMPTY_STATE], "default": READ_STATE},
    "level_paths": {"type": "dict", "default": {}},
    "level_mounts": {"type": "bool", "default": True},
    "level_timeout": {"type": "int", "default": 15},
    "proposed": {"type": "dict"},
    "generation": {"type": "int"},
    **site_option(),
}
MANY = 8
"""Nodes named in a line of text before only their number is given."""

Warn = Callable[[str], None]
Tables = Mapping[str, Sequence[Row]]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def with_proposed(tables: Tables, proposed: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the tables with proposed rows: a row takes the place of the one with its key; one with `disable` set takes it away.

    Raises SiteError with every fault of the rows, as the module that would write them does.
    """
    result = {name: list(rows) for name, rows in tables.items()}
    faults: list[Fault] = []
    for name, rows in proposed.items():
        table = TABLES.get(name)
        if table is None or not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            what = "it is no list of rows" if table is not None else "there is no such table"
            faults.append(Fault(f"proposed, {name}", what, f"Give a list of rows for one of: {', '.join(TABLES)}"))
            continue
        unknown = sorted({column for row in rows for column in row if column not in table.names})
        if unknown:
            mend = f"Use {', '.join(table.names)}"
            faults.append(Fault(f"proposed, {name}", f"there is no column called {', '.join(unknown)}", mend))
            continue
        written = [clean(table, {column: _cell(value) for column, value in row.items()}) for row in rows]
        faults.extend(check_rows(table, written))
        kept = by_key(table, result.get(name, ()))
        kept.update(by_key(table, written))
        result[name] = list(kept.values())
        faults.extend(check_table(table, result[name]))
    raise_faults(faults)
    return result


def names_of(nodes: Sequence[str]) -> str:
    """Return the nodes of a group for a line of text."""
    return ", ".join(nodes) if len(nodes) <= MANY else f"{', '.join(nodes[: MANY - 1])}, ... {nodes[-1]}"


def count_of(number: int, thing: str) -> str:
    """Return `1 path`, `3 paths`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _row_words(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not looked at"
    if row["type"] == "absent":
        return "absent"
    kept = {"yes": "writable, kept", "no": "writable, lost at reboot", "-": "read-only"}[row["survives"]]
    what = [row["type"], row.get("mode"), f"-> {row['target']}" if "target" in row else None, f"from {row['origin']}", kept]
    words = " ".join(word for word in what if word)
    return f"{words}: {row['reason']}" if "reason" in row else words


def _faults(faults: Iterable[Mapping[str, str]]) -> list[str]:
    return [f"  gets no boot plan: {fault['where']}: {fault['what']}. {fault['mend']}" for fault in faults]


def text_of_group(group: Alike) -> list[str]:
    """Return the lines of nodes that are alike."""
    seen = group.seen
    of_one = f" (this one for {group.nodes[0]}; each node has its own)" if len(group.nodes) > 1 else ""
    lines = [f"{count_of(len(group.nodes), 'node')} alike: {names_of(group.nodes)}", *_faults(seen.faults)]
    for level in seen.levels:
        message = f": {level['message']}" if "message" in level else ""
        lines.append(f"  level {level['level']} {level['source']} {level['status']}{message}{of_one if level['own'] else ''}")
    lines += [f"  entry {one['path']} {one['status']}: {one['message']}" for one in seen.entries if "message" in one]
    lines += [f"  waits: {seen.waits}"] if seen.waits else []
    lines += [f"  {row['path']}  {_row_words(row)}" for row in seen.rows]
    return lines + [f"  note: {note}" for note in seen.notes]


def text_of_change(change: Change) -> list[str]:
    """Return the lines of one difference."""
    lines = [f"{count_of(len(change.paths), 'path')} on {count_of(len(change.nodes), 'node')}: {names_of(change.nodes)}"]
    lines += _faults(change.faults)
    for path in change.paths:
        lines += [f"  {path['path']}", f"    - {_row_words(path['before'])}", f"    + {_row_words(path['after'])}"]
    return lines


def _group(group: Alike) -> dict[str, Any]:
    seen: Seen = group.seen
    return {
        "nodes": list(group.nodes),
        "count": len(group.nodes),
        "boots": seen.boots,
        "waits": seen.waits,
        "tree": list(seen.rows),
        "entries": list(seen.entries),
        "levels": list(seen.levels),
        "notes": list(seen.notes),
        "faults": list(seen.faults),
    }


def _explained(sight: Sight, nodes: Sequence[str], path: str) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    faults: list[Fault] = []
    for node in nodes:
        try:
            found[node] = explain(sight, node, path)
        except SiteError as error:
            faults.extend(error.faults)
    raise_faults(dict.fromkeys(faults))
    return {"explained": found, "text": "".join(text_of(one) for one in found.values())}


def _wish(params: Mapping[str, Any]) -> Wish:
    given = [name for name in ("path", "paths", "whole") if params[name]]
    if len(given) > 1:
        raise SiteError.of(" and ".join(given), "they ask for different things", "Give one of them")
    wrong = [path for path in params["paths"] if not path.startswith("/") or ".." in path.split("/")]
    raise_faults(Fault("paths", f"'{path}' is not a full path", "Write it from the root, without '..'") for path in wrong)
    paths = ["/" + "/".join(part for part in path.split("/") if part) for path in params["paths"]]
    return Wish(tuple(paths), params["whole"], params["digest"], params["state"])


def read_view(params: Mapping[str, Any], _warn: Warn) -> dict[str, Any]:
    """Return what the module gives for its options; raises SiteError with the faults that concern every node asked for."""
    with open_store(params["site"]) as store:
        tables: Tables = store.tables()
    limit = params["level_timeout"]
    if limit < 1:
        raise SiteError.of("level_timeout", f"{limit} is no time to answer in", "Give it at least 1 second")
    with FarServers(limit) as far:
        places = Places(
            local_addresses(),
            {str(key): str(value) for key, value in params["level_paths"].items()},
            far if params["level_mounts"] else None,
        )
        return _read_view(params, tables, places)


def _read_view(params: Mapping[str, Any], tables: Tables, places: Places) -> dict[str, Any]:
    own = places.own
    generation = "" if params["generation"] is None else str(params["generation"])
    site = Site(tables, own)
    sight = Sight(site, places, generation=generation)
    nodes = expand(site, params["noderange"], read_names)
    wanted = None
    if params["proposed"] is not None:
        proposed = Site(with_proposed(tables, params["proposed"]), own)
        wanted = Sight(proposed, places, planned=True, generation=generation)
    wish = _wish(params)
    if params["path"] is not None:
        return {"nodes": nodes, **_explained(wanted or sight, nodes, params["path"])}
    before = Simulation(sight, wish)
    if wanted is None:
        groups = alike((node, before.of(node)) for node in nodes)
        lines = [line for group in groups for line in text_of_group(group)]
        return {"nodes": nodes, "groups": [_group(group) for group in groups], "text": "".join(f"{line}\n" for line in lines)}
    after = Simulation(wanted, wish)
    found = changes(nodes, before, after)
    lines = [line for change in found for line in text_of_change(change)] or [f"no path changes on {count_of(len(nodes), 'node')}"]
    return {
        "nodes": nodes,
        "groups": [_group(group) for group in alike((node, after.of(node)) for node in nodes)],
        "changes": [
            {"nodes": list(change.nodes), "count": len(change.nodes), "paths": list(change.paths), "faults": list(change.faults)}
            for change in found
        ],
        "text": "".join(f"{line}\n" for line in lines),
    }
