# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands litefile, ilitefile, litetree and lslite tell, from the tables alone (statelite document 3; behaviour.md c.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import Fault, SiteError, raise_faults
from ..tables.columns import EVERY_IMAGE
from ..tables.lite import LINK, MTAB, TMPFS, normal_path, parse_options
from ..tables.options import info_module
from ..tables.rows import Warn, read_rows
from ..tables.store import open_store
from ..tables.things import LITEFILE, LITETREE, Thing
from .images import Image, image_of, osimage, rows_for_image
from .mounts import levels_of, state_of
from .noderange import expand, read_names
from .site import Site

BLANK = "tmpfs,rw"
"""How the commands write a blank option."""
INDENT = " " * 8


def effective_files(site: Site, image: Image) -> list[dict[str, Any]]:
    """Return the litefile rows that hold for an image, sorted by file: the row as written, what it means, which rank it has.

    /etc/mtab is always among them, as a volatile link whatever a row says of it, and when no row names it too (`implied`).
    """
    found: list[dict[str, Any]] = []
    listed = set()
    for row in rows_for_image(site, "litefile", image):
        where = f"table litefile, image {row.get('image') or EVERY_IMAGE}, file {row.get('file')}"
        storage, attachment = parse_options(row.get("options") or "", where)
        own = normal_path(row["file"])[0] == MTAB
        listed.add(normal_path(row["file"])[0])
        found.append(
            {
                "file": row["file"],
                "options": BLANK if own else row.get("options") or "",
                "storage": TMPFS if own else storage,
                "attachment": LINK if own else attachment or image.liteattach or site.setting("liteattach"),
                "required": (row.get("required") or "no") == "yes",
                "image": row.get("image") or EVERY_IMAGE,
                "implied": False,
            }
        )
    if MTAB not in listed:
        implied = {"file": MTAB, "options": "link", "storage": "tmpfs", "attachment": "link", "required": False, "image": EVERY_IMAGE}
        found.append({**implied, "implied": True})
    return sorted(found, key=lambda row: row["file"].encode("utf-8", "surrogateescape"))


def effective_levels(site: Site, node: str, image: Image) -> list[dict[str, Any]]:
    """Return the levels of a node, the first to be searched first, with variables replaced and servers as addresses."""
    return [
        {
            "priority": level.priority,
            "server": level.server,
            "directory": level.directory,
            "mntopts": level.mntopts,
            "required": level.required,
        }
        for level in levels_of(site, node, image)
    ]


def _file_line(row: Mapping[str, Any]) -> str:
    return f"{row['options'] or BLANK:<13} {row['file']}"


def _location(server: str, directory: str) -> str:
    return f"[{server}]:{directory}" if ":" in server else f"{server}:{directory}"


def litefile_text(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what `litefile NODE` or `ilitefile IMAGE` prints."""
    return "".join(f"{name}: {_file_line(row)}\n" for row in rows)


def _level_line(level: Mapping[str, Any]) -> str:
    options = f" :{level['mntopts']}" if level["mntopts"] else ""
    return _location(level["server"], level["directory"]) + options


def litetree_text(node: str, levels: Sequence[Mapping[str, Any]]) -> str:
    """Return what `litetree NODE` prints."""
    return "".join(f"{node}: {_level_line(level)}\n" for level in levels)


def lslite_text(site: Site, node: str, image: Image) -> str:
    """Return what `lslite NODE` prints."""
    state = state_of(site, node, image)
    parts = [
        [f">>>Node: {node}"],
        [f"Osimage: {image.name}"],
        ["Persistent directory (statelite table):", *([INDENT + _location(state.server, state.directory)] if state else [])],
        ["Litefiles (litefile table):", *(INDENT + _file_line(row) for row in effective_files(site, image))],
        [
            "Litetree path (litetree table):",
            *(f"{INDENT}{level['priority']}, {_level_line(level)}" for level in effective_levels(site, node, image)),
        ],
    ]
    return "".join("".join(f"{line}\n" for line in part) + "\n" for part in parts)


def lslite_image_text(site: Site, image: Image) -> str:
    """Return what `lslite -i IMAGE` prints."""
    return "".join(f"{INDENT}{_file_line(row)}\n" for row in effective_files(site, image))


def query_module(thing: Thing) -> dict[str, Any]:
    """Return the arguments of `run_info` for litefile_info and litetree_info: rows as they stand, or as they hold for somebody."""
    arguments = info_module(thing)
    asked = {"noderange": {"type": "str"}}
    if thing is LITEFILE:
        asked["osimage"] = {"type": "str"}
    narrowing = [[one, name] for one in asked for name in thing.table.key]
    both = [list(asked)] if len(asked) > 1 else []
    return {"argument_spec": {**asked, **arguments["argument_spec"]}, "mutually_exclusive": [*both, *narrowing]}


def _site(params: Mapping[str, Any]) -> Site:
    with open_store(params["site"]) as store:
        return Site(store.tables())


def _of_nodes(site: Site, noderange: str) -> list[tuple[str, Image]]:
    """Return each node of a noderange with its image; raises SiteError with every node that has none."""
    found: list[tuple[str, Image]] = []
    faults: list[Fault] = []
    for node in expand(site, noderange, read_names):
        try:
            found.append((node, osimage(site, image_of(site, node))))
        except SiteError as error:
            faults.extend(error.faults)
    raise_faults(faults)
    return found


def read_litefile(params: Mapping[str, Any], warn: Warn) -> dict[str, Any]:
    """Return the rows of litefile as they stand, or with `noderange` or `osimage` those that hold there, with the commands' texts."""
    if params["noderange"] is None and params["osimage"] is None:
        return read_rows(LITEFILE, params, warn)
    site = _site(params)
    if params["osimage"] is not None:
        image = osimage(site, params["osimage"])
        rows = effective_files(site, image)
        holds = [{"name": image.name, "image": image.name, "rows": rows}]
        return {"rows": [], "effective": holds, "text": litefile_text(image.name, rows), "lslite": lslite_image_text(site, image)}
    nodes = _of_nodes(site, params["noderange"])
    faults: list[Fault] = []
    effective, texts, lslite = [], [], []
    for node, image in nodes:
        try:
            rows = effective_files(site, image)
            lslite.append(lslite_text(site, node, image))
        except SiteError as error:
            faults.extend(fault for fault in error.faults if fault not in faults)
            continue
        effective.append({"name": node, "image": image.name, "rows": rows})
        texts.append(litefile_text(node, rows))
    raise_faults(faults)
    return {"rows": [], "effective": effective, "text": "".join(texts), "lslite": "".join(lslite)}


def read_litetree(params: Mapping[str, Any], warn: Warn) -> dict[str, Any]:
    """Return the rows of litetree as they stand, or with `noderange` the levels of each node, with the command's text."""
    if params["noderange"] is None:
        return read_rows(LITETREE, params, warn)
    site = _site(params)
    faults: list[Fault] = []
    effective, texts = [], []
    for node, image in _of_nodes(site, params["noderange"]):
        try:
            levels = effective_levels(site, node, image)
        except SiteError as error:
            faults.extend(error.faults)
            continue
        effective.append({"name": node, "image": image.name, "levels": levels})
        texts.append(litetree_text(node, levels))
    raise_faults(faults)
    return {"rows": [], "effective": effective, "text": "".join(texts)}
