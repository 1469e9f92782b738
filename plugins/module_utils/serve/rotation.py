# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one CA follows another without a node that trusts neither (decisions.md, The node).

`ca.pem` holds every CA that nodes accept, first the one that issues. A successor waits as `ca-next.pem`: it is added to
`ca.pem` (and so to the images that are built from then on) before anything is issued from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..apply.files import read_bytes
from ..errors import SiteError

KEEP, ADD, SWITCH, DROP = "keep", "add", "switch", "drop"
STEPS = (KEEP, ADD, SWITCH, DROP)
BUNDLE, NEXT = "ca.pem", "ca-next.pem"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")


@dataclass(frozen=True)
class Authorities:
    """The CAs of a directory: `bundle` of ca.pem, first the one that issues; `successor` of ca-next.pem, empty when there is none.

    `lost`: there is a successor and its key is not there.
    """

    bundle: tuple[str, ...]
    successor: str
    lost: bool = False

    @property
    def begun(self) -> bool:
        """A switch to the successor was cut off: it is first already, and its files are still there."""
        return self.successor != "" and self.bundle[:1] == (self.successor,)


@dataclass(frozen=True)
class Rotation:
    """One step: the successor is made, is added to `bundle`, issues. `bundle` is what ca.pem is to hold, None when it stays."""

    lines: tuple[str, ...] = ()
    makes: bool = False
    adds: bool = False
    switches: bool = False
    bundle: tuple[str, ...] | None = None


def certificates_in(directory: str, name: str) -> tuple[str, ...]:
    """Return the PEM texts in a file of `directory`, in their order."""
    content = read_bytes(os.path.join(directory, name)) or b""
    return tuple(CERTIFICATE.findall(content.decode("ascii", "replace")))


def joined(certificates: Sequence[str]) -> bytes:
    """Return what a file with these certificates holds; one that is in them twice stands once."""
    return "".join(dict.fromkeys(certificates)).encode()


def next_step(step: str, there: Authorities, directory: str) -> Rotation:
    """Return what `step` asks of the CAs that are there; a switch that was cut off is finished first (pure).

    Raises SiteError when the step can't follow.
    """
    path, following = os.path.join(directory, BUNDLE), os.path.join(directory, NEXT)
    others = tuple(one for one in there.bundle if one != there.successor)
    if there.begun or (step == SWITCH and there.successor):
        if there.successor not in there.bundle:
            raise SiteError.of(following, "the CA that follows is not in ca.pem yet", "Run with rotation: add, and build the images again")
        line = f"switch {path} to the CA of {following}; the one before stays accepted"
        return Rotation((line,), switches=True, bundle=(there.successor, *others))
    if step == ADD:
        if not there.successor and others[1:]:
            raise SiteError.of(path, "the last rotation has not ended", "Run with rotation: drop before the next one")
        lines = () if there.successor else (f"make {following}: the CA that will follow",)
        if there.successor and there.successor in there.bundle:
            return Rotation()
        return Rotation((*lines, f"add it to {path}"), not there.successor, True, bundle=there.bundle)
    if step == SWITCH and there.lost:
        raise SiteError.of(following, "its key is missing or another one's", "Run with rotation: drop, then add")
    if step == SWITCH and len(there.bundle) < 2:
        raise SiteError.of(following, "there is no CA to switch to", "Run with rotation: add, build the images again, and boot the nodes")
    if step == DROP:
        if there.successor:
            raise SiteError.of(following, "the CA that follows does not issue yet", "Run with rotation: switch before drop")
        if there.bundle[1:]:
            return Rotation((f"drop the CA before from {path}",), bundle=there.bundle[:1])
    return Rotation()
