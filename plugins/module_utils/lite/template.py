# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan template of an image: its boot plan with the node's own words left open (decisions.md, The node).

A node whose answer service cannot be reached fills it in from its kernel words. It holds only what the laid-out tree
decides, so no edit of litetree, statelite or the settings needs a new image. It is the same for every node: no plan of
a node stands in a shared image.
"""

from __future__ import annotations

from ..nodes.disk import UNSET, WAIT, Disk
from ..tables.lite import LOCALDISK, PERSISTENT
from .layout import STATELITE, Layout
from .nodeplan import FORMAT, SETTINGS, mounts_places, place_steps, step_fields, wire_text

TEMPLATE = "/.statelite/plan.template"
NODE = "@NODE@"
STATE = ("@SERVER@", "@DIRECTORY@", "@OPTIONS@", "required")
DISK = Disk("@LABEL@", "@OPTIONS@", UNSET[WAIT])
"""Nothing is formatted without the site's word of today."""


def template_of(layout: Layout) -> str:
    """Return the text of the template."""
    storages = {entry.storage for entry in layout.entries}
    own = layout.made.directories.get(STATELITE)
    mode = own.mode if own is not None else layout.made.modes.get(STATELITE, (0, 0o755))[1]
    lines: list[tuple[str, ...]] = [
        ("statelite-plan", FORMAT),
        ("node", NODE),
        ("image", layout.image, "@GENERATION@"),
        ("hostname", NODE),
        ("machine-id", "@MACHINE-ID@"),
        ("tmpfs", SETTINGS["litetmpfssize"], SETTINGS["litetmpfsinodes"], f"{mode:o}"),
    ]
    if PERSISTENT in storages:
        lines.append(("state", *STATE))
    if LOCALDISK in storages:
        lines.append(DISK.fields())
    lines.extend(("stands", path, place) for path, place in layout.satisfied.items())
    lines.extend(("bridge", path) for path in layout.bridges)
    steps = place_steps(layout.entries, NODE)
    lines.extend(step_fields(step) for step in steps)
    lines.extend(("mounts", place) for place in mounts_places(steps))
    return wire_text(lines)
