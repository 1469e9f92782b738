# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan template of an image: its boot plan with the node's own words left open (decisions.md, The node).

A node whose answer service cannot be reached fills it in from its kernel words. It holds only what the laid-out tree
decides, so no edit of litetree, statelite or the settings needs a new image. It is the same for every node: no plan of
a node stands in a shared image.
"""

from __future__ import annotations

from .layout import STATELITE, Layout
from .nodeplan import FORMAT, SETTINGS, place_steps, step_fields, wire_text

TEMPLATE = "/.statelite/plan.template"
NODE = "@NODE@"
STATE = ("@SERVER@", "@DIRECTORY@", "@OPTIONS@", "required")


def template_of(layout: Layout) -> str | None:
    """Return the text of the template; None when an entry needs what kernel words don't say."""
    storages = {entry.storage for entry in layout.entries}
    if "localdisk" in storages:
        return None
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
    if "persistent" in storages:
        lines.append(("state", *STATE))
    lines.extend(("stands", path, place) for path, place in layout.satisfied.items())
    lines.extend(("bridge", path) for path in layout.bridges)
    lines.extend(step_fields(step) for step in place_steps(layout.entries, NODE))
    return wire_text(lines)
