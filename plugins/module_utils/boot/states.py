# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of nodeset: what can be asked for, and what of the original's is refused by its name (behaviour.md e.1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import SiteError

STATE = re.compile(r"(statelite|netboot|osimage)(?:=([^:=]+))?(:reboot4deploy)?|boot|offline|shell")
LATER = ("install", "standby", "shutdown", "runcmd", "runimage", "iscsiboot", "next", "enact", "ondiscover")
"""States of the original that this release does not write."""

KNOWN = "Use osimage[=NAME], statelite[=NAME], netboot[=NAME], boot, offline or shell"


class State(NamedTuple):
    """What is asked for: `kind` is `image`, boot, offline or shell; `provmethod` what the image has to be, if it was said."""

    kind: str
    image: str | None = None
    provmethod: str | None = None
    reboot: bool = False


def parse_state(text: str) -> State:
    """Return the state of a text; raises SiteError for any other, naming those of the original that are not in this release."""
    match = STATE.fullmatch(text.strip())
    if match:
        word, image, reboot = match.groups()
        if word is None:
            return State(text.strip())
        return State("image", image, None if word == "osimage" else word, bool(reboot))
    verb = re.split("[=:,]", text.strip(), maxsplit=1)[0]
    if verb in ("osimage", "statelite", "netboot"):
        raise SiteError.of(f"state {text}", "names no image", f"Write {verb}=NAME, or {verb} alone for the image of each node")
    if verb == "stat":
        raise SiteError.of(f"state {text}", "'stat' is no state", "The module nodeset_info tells what nodes boot")
    if verb in LATER:
        raise SiteError.of(f"state {text}", f"'{verb}' is not in this release", KNOWN)
    raise SiteError.of(f"state {text}", "there is no such state", KNOWN)
