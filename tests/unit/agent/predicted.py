# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulation says of a node of node.py, in the words of view.py, which tells what was really there."""

from __future__ import annotations

from typing import Any

from ansible_collections.diskless.statelite.plugins.module_utils.lite.nodeview import NodeView
from ansible_collections.diskless.statelite.plugins.module_utils.lite.simulate import Sight, Wish, spots
from ansible_collections.diskless.statelite.plugins.module_utils.lite.trees import Places
from ansible_collections.diskless.statelite.plugins.module_utils.nodes.site import Site

from .node import Node

RESOLVER = b"search lab.test\nnameserver 10.9.9.9\n"
LEFT_OUT = ("/usr", "/run", "/dev", "/proc", "/sys", "/bin", "/sbin", "/lib", "/lib64")
"""Where the made-up root shows the testing machine's own."""
ON_DISK = "on-disk"
"""Where in a node's work directory the prediction finds what its local disk holds (disks.py)."""
WORKING = ("/.statelite", "/.statelite/system")
"""Where the agent's log, report and lists stand, which are nothing to predict: a link in an image may lead there by its dots."""
SEEN = ("type", "mode", "content", "list", "writable", "backing")


def sight(node: Node, **more: Any) -> Sight:
    """Return the site as its management node sees it: every server's directories below one of the test, there or not."""
    site = Site(node.tables)
    plan = Sight(site, Places(), **more).plan("n1")
    servers = {level.server for level, _options in plan.levels} | ({plan.state.server} if plan.state else set())
    paths = {f"{server}:": str(node.nfs / server) for server in servers}
    return Sight(site, Places(level_paths={**paths, "localdisk:": str(node.work / ON_DISK)}), **more)


def predicted(node: Node, **more: Any) -> NodeView:
    """Return the root of n1 as it will be."""
    return sight(node, **more).view("n1", Wish(resolver=RESOLVER))


def look(view: NodeView, path: str) -> dict[str, Any]:
    """Return what view.py would say of a path."""
    spot = view.look(path)
    if spot is None:
        return {"type": "ENOENT"}
    inode = spot.inode
    assert not inode.unknown, (path, inode.unknown)
    found: dict[str, Any] = {"type": inode.kind, "mode": f"{inode.mode:04o}", "backing": inode.backing}
    found["writable"] = "EROFS" if spot.mount.readonly else True
    if inode.kind == "f":
        found["content"] = inode.content().decode("utf-8", "replace")
    elif inode.kind == "d":
        found["list"] = sorted(name for name, _spot in view.space.inside(spot) if name != "statelite")
    return found


def everything(view: NodeView) -> list[str]:
    """Return every path of the root but those that lead to what the node mounts for itself or to the agent's own directories."""
    hidden = tuple(f"{place}/" for place in LEFT_OUT)
    paths = [path for path, _spot in spots(view, "/") if path != "/" and not f"{path}/".startswith(hidden)]
    seen = [(path, view.look(path)) for path in paths]
    return [path for path, spot in seen if spot is None or not (spot.inode.backing == "live" or view.space.path_of(spot) in WORKING)]


def differences(node: Node, words: str = "") -> tuple[list[Any], NodeView]:
    """Boot the node, and return (path, seen, predicted) wherever the two differ, with what became of each entry."""
    view = predicted(node)
    paths = everything(view)
    boot = node.boot(words, paths)
    found: list[Any] = []
    for path in paths:
        right = look(view, path)
        if right["type"] == "o":
            right.pop("writable", None)
        seen = {key: boot.seen[path].get(key) for key in right}
        if seen != right:
            found.append((path, seen, right))
    for path in sorted({*boot.results, *view.results}):
        done, result = boot.results.get(path, ("",))[:2], view.results.get(path)
        right = (result.status, result.source) if result else ("",)
        if (done[:1], done[1:] if done[0] == "done" else ()) != (right[:1], right[1:] if right[0] == "done" else ()):
            found.append((path, done, right))
    required = {step.path for step in view.plan.steps if step.required}
    fails = any(result.status in ("failed", "skipped") and path in required for path, result in view.results.items())
    if (boot.status != 0) is not fails:
        found.append(("status", boot.status, boot.log))
    return found, view
