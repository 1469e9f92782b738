# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One path of one node: which row decides it and why, where its content comes from, where writes go, what is kept."""

from __future__ import annotations

from typing import Any

from ..errors import SiteError
from ..nodes.images import rank, rows_for_image
from ..nodes.mounts import Level
from ..nodes.provenance import Variable, variable, variables
from ..tables.columns import EVERY_IMAGE, Row
from ..tables.lite import LOCALDISK, PERSISTENT, RO, normal_path, parse_options
from .carry import UNKNOWN, Result, S
from .entry import liteattach_of
from .layout import Placed
from .namespace import LIVE, above_of
from .nodeplan import Step
from .nodeview import DISK_WORDS, IDENTITY, NodeView
from .sighting import Sighting, sighting
from .simulate import KEPT, LOST, NOT_WRITABLE, Laid, Sight, Wish, survival

SURVIVES = {
    KEPT: "; kept over reboots",
    LOST: "; lost at reboot",
    NOT_WRITABLE: "",
}
KEPT_IN = {PERSISTENT: "the node's state", LOCALDISK: "the node's own disk"}
IN_PLACE = "a single file bound to a level: write it in place on the server, or bind its directory; a file renamed into place is not seen"


def _rank_words(place: int, laid: Laid) -> str:
    groups = laid.image.groups
    if place == 0:
        return f"names the image {laid.image.name}"
    if place <= len(groups):
        return f"names its group {groups[place - 1]}"
    return "is for every image"


def rows_explained(sight: Sight, laid: Laid, written: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the litefile rows for the paths that hold for the image, the strongest first, with what each is for."""
    chosen = {id(row) for row in rows_for_image(sight.site, "litefile", laid.image)}
    found = []
    for row in sight.site.rows("litefile"):
        place = rank(row, laid.image)
        if place is None or normal_path(row.get("file") or "")[0] not in written:
            continue
        storage, attachment = parse_options(row.get("options") or "")
        said = {
            "image": row.get("image") or EVERY_IMAGE,
            "file": row["file"],
            "options": row.get("options") or "",
            "storage": storage,
            "attachment": attachment or liteattach_of(sight.site, laid.image.name),
            "attached_by": "the row" if attachment else "liteattach",
            "why": _rank_words(place, laid),
            "wins": id(row) in chosen,
        }
        found.append((place, said))
    return [said for _place, said in sorted(found, key=lambda pair: (pair[0], not pair[1]["wins"]))]


def governing(view: NodeView, path: str) -> tuple[Step | None, str]:
    """Return the entry that decides `path` and the path below it; an entry holds for everything in it, by whatever name."""
    spot, rest = view.look(path), ""
    while spot is None and path != "/":
        rest = f"/{path.rpartition('/')[2]}{rest}"
        path = above_of(path)
        spot = view.look(path)
    if spot is None:
        return None, rest
    entries = {}
    for step in view.plan.steps:
        found = view.look(step.path)
        if found is not None:
            entries[found] = step
    below = ""
    for here in view.space.chain(spot):
        if here in entries:
            return entries[here], below + rest
        if here.inode is not here.mount.root:
            below = f"/{here.inode.name}{below}"
    return None, rest


def _holds(view: NodeView, place: str, kind: str) -> tuple[bool, str]:
    """Return whether a level or the default gives an entry its content from `place`, and in words what is there."""
    found = view.look(place)
    unread = view.space.blind if found is None else found.inode.unknown if not found.inode.names else ""
    if unread:
        return False, f"not known: {unread}"
    if found is None:
        dangling = kind != "d" and view.space.stands(place)
        return dangling, "has a dangling link" if dangling else "does not have it"
    if found.inode.kind != "d":
        return kind != "d", "has it" if kind != "d" else "has a file there, not a directory"
    count = len(found.inode.names)
    if kind == "d" and not count:
        return False, "has an empty directory, which is passed over"
    return True, f"has it, a directory of {count}"


def sources(view: NodeView, step: Step, result: Result) -> list[dict[str, Any]]:
    """Return each level and the image's default in the order they are tried, with what was found and what was used."""
    used = result.source.split("+")
    composed = step.storage == "con"
    tried: list[dict[str, Any]] = []
    for seen, (level, _options) in zip(view.levels, view.plan.levels):
        has, words = (False, f"{'not mounted' if seen.known else 'not known'}: {seen.trouble}")
        if seen.point is not None:
            has, words = _holds(view, seen.point + step.path, "f" if composed else step.kind)
        row = {"source": f"level {seen.number}", "place": seen.source, "priority": level.priority, "has_it": has, "result": words}
        tried.append({**row, "used": seen.number in used})
    has = view.space.stands("/.default" + step.path)
    words = "has it" if has else "does not have it"
    default = {"source": "default", "place": "/.default", "has_it": has, "result": words, "used": "default" in used}
    tried = [default, *tried] if composed else [*tried, default]
    if result.source == "kept":
        tried.insert(
            0, {"source": "kept", "place": KEPT_IN[step.storage], "has_it": True, "result": "has it from an earlier boot", "used": True}
        )
    if step.storage == LOCALDISK and result.source == UNKNOWN:
        tried.insert(
            0, {"source": "kept", "place": KEPT_IN[LOCALDISK], "has_it": False, "result": f"not known: {DISK_WORDS}", "used": False}
        )
    if result.source == "created":
        tried.append({"source": "created", "place": "", "has_it": True, "result": "nothing had it: made empty", "used": True})
    return tried


def _writes(view: NodeView, here: Sighting, step: Step | None, below: str) -> str:
    """Return where a write at the path ends up; of a path where nothing is, what is made there."""
    spot = here.holder
    if spot.inode.backing == LIVE:
        return f"{view.space.path_of(spot)}, the node's own in memory"
    if survival(spot) == NOT_WRITABLE:
        return "nowhere: read-only" if here.spot is not None else f"nowhere: {view.space.path_of(spot)} is read-only"
    if spot.inode.backing == LOCALDISK and view.plan.disk is not None and step is not None:
        return f"the node's own disk (label {view.plan.disk.label}), {step.path}{below}"
    if spot.inode.backing == "persistent" and view.plan.state is not None and step is not None:
        return f"{view.plan.state.server}:{view.plan.state.directory.rstrip('/')}/{view.plan.node}{step.path}{below}"
    return f"the node's memory ({S})"


def _lines_of_variables(found: list[Variable], where: str) -> list[dict[str, str]]:
    return [{"variable": f"${one.name}", "value": one.value, "from": one.source, "where": where} for one in found]


def _level_row(sight: Sight, laid: Laid, level: Level) -> Row:
    return next(row for row in rows_for_image(sight.site, "litetree", laid.image) if (row.get("priority") or "").strip() == level.priority)


def variables_of(sight: Sight, laid: Laid, view: NodeView) -> list[dict[str, str]]:
    """Return every variable of the node's levels and of its state's place, with who gave it its value."""
    site, node = sight.site, view.plan.node
    found: list[dict[str, str]] = []
    for level, _options in view.plan.levels:
        written = _level_row(sight, laid, level).get("directory") or ""
        found += _lines_of_variables(variables(site, node, written, level.where), level.where)
        if ":" not in written.split("/")[0] or written.startswith(":"):
            found += _lines_of_variables([variable(site, node, "noderes.nfsserver", level.where)], level.where)
    state = view.plan.state
    if state is not None:
        for row in site.rows("statelite"):
            holder, image = row.get("node") or "", row.get("image") or EVERY_IMAGE
            sources_named = (f"table statelite, {kind} {holder}, image {image}, column statemnt" for kind in ("node", "group"))
            if state.where in sources_named:
                found += _lines_of_variables(variables(site, node, row.get("statemnt") or "", state.where), state.where)
                break
        if not state.written_server:
            found += _lines_of_variables([variable(site, node, "noderes.nfsserver", state.where)], state.where)
    return found


def _entry(laid: Laid, step: Step) -> Placed:
    return next(entry for entry in laid.layout.entries if entry.path == step.path)


def explain(sight: Sight, node: str, path: str) -> dict[str, Any]:
    """Return what there is to say of one path of one node; raises SiteError when the node gets no plan or the path is none."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise SiteError.of("path", f"'{path}' is not a full path", "Write it from the root, without '..'")
    path = normal_path(path)[0]
    view = sight.view(node, Wish())
    laid = sight.laid(node)
    here = sighting(view, path)
    spot = here.spot
    step, below = governing(view, path)
    notes = [note for note in view.plan.notes if f" {path} " in note or (step is not None and f" {step.path} " in note)]
    found: dict[str, Any] = {
        "node": node,
        "path": path,
        "image": laid.image.name,
        "generation": laid.generation.number,
        "seen": here.row,
        "real_path": view.space.path_of(spot) if spot is not None else None,
        "writes_go_to": _writes(view, here, step, below),
        "survives": survival(here.holder),
        "entry": None,
        "rows": [],
        "sources": [],
        "variables": variables_of(sight, laid, view),
        "notes": [*notes, *([view.waits] if view.waits else [])],
    }
    if step is None:
        satisfied = next((leads for written, leads in laid.layout.satisfied.items() if f"{path}/".startswith(f"{written}/")), None)
        found["why"] = _why_no_entry(here, path, satisfied)
        if satisfied is not None:
            written = tuple(written for written in laid.layout.satisfied if f"{path}/".startswith(f"{written}/"))
            found["rows"] = rows_explained(sight, laid, written)
        return found
    entry, result = _entry(laid, step), view.results[step.path]
    found["entry"] = {
        "path": step.path,
        "storage": step.storage,
        "attachment": step.attachment,
        "required": step.required,
        "parent": step.parent,
        "below": below,
        "status": result.status,
        "message": result.message,
    }
    found["rows"] = rows_explained(sight, laid, entry.written)
    found["sources"] = sources(view, step, result)
    found["why"] = _why(entry, step, below, found["rows"])
    if (step.storage, step.kind, step.attach) == (RO, "f", "bind") and result.source not in ("default", "none", UNKNOWN):
        found["notes"].append(IN_PLACE)
    return found


def _why_no_entry(here: Sighting, path: str, satisfied: str | None) -> str:
    if satisfied is not None:
        return f"it leads to {satisfied}, which every node mounts for itself"
    if f"{path}/".startswith(f"{S}/"):
        return "it is statelite's own, made new at every boot"
    inode = here.holder.inode if here.spot is None else here.spot.inode
    if inode.origin == IDENTITY:
        return "it is the node's identity, set at every boot"
    if inode.backing == LIVE:
        return "every node mounts it for itself"
    if here.row["type"] == "l":
        return f"it is a symbolic link of the image: {here.blind or 'nothing is where it leads'}"
    if here.spot is None:
        return "no row names it, and nothing is there in the image" if here.row["type"] == "absent" else "no row names it"
    return "no row names it: it is the image's, read-only and the same on every node"


def _why(entry: Placed, step: Step, below: str, rows: list[dict[str, Any]]) -> str:
    inside = f"it lies in {step.path}, and " if below else ""
    if entry.implied:
        return f"{inside}{step.path} is a file that statelite itself keeps volatile"
    winner = next((row for row in rows if row["wins"]), None)
    if winner is None:
        return f"{inside}{step.path} is laid out in the image, but no row names it any more: run liteimg"
    return f"{inside}the row for {winner['file']} {winner['why']}"


def _seen_words(seen: dict[str, Any]) -> str:
    kind = {"d": "directory", "f": "file", "l": "symbolic link", "o": "special file"}.get(seen["type"], seen["type"])
    if seen["type"] == "unknown":
        return f"not known: {seen['reason']}"
    if seen["type"] == "absent":
        return kind
    target = f" to {seen['target']}" if "target" in seen else ""
    return f"{kind}{target} {seen['mode']} from {seen['origin']}"


def text_of(found: dict[str, Any]) -> str:
    """Return an explanation for a person to read."""
    seen = found["seen"]
    lines = [f"{found['node']}:{found['path']}  {_seen_words(seen)}", f"  why: {found['why']}"]
    if found["real_path"] not in (None, found["path"]):
        lines.append(f"  lies at: {found['real_path']}")
    if found["entry"] is not None:
        entry = found["entry"]
        lines.append(f"  entry: {entry['path']} {entry['attachment']},{entry['storage']}: {entry['status']} {entry['message']}".rstrip())
    for row in found["rows"]:
        mark = "wins" if row["wins"] else "loses"
        lines.append(f"  row: image {row['image']}, {row['file']}, '{row['options']}' {row['why']}: {mark}")
    for tried in found["sources"]:
        place = f" ({tried['place']})" if tried["place"] else ""
        used = ": used" if tried["used"] else ""
        lines.append(f"  {tried['source']}{place}: {tried['result']}{used}")
    lines.append(f"  writes go to: {found['writes_go_to']}{SURVIVES[found['survives']]}")
    if found["entry"] is not None:
        lines += [f"  {one['variable']} = {one['value']} from {one['from']} ({one['where']})" for one in found["variables"]]
    lines += [f"  note: {note}" for note in found["notes"]]
    return "".join(f"{line}\n" for line in lines)
