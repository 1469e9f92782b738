# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one bridge in the lab's network namespace; the box and the nodes' taps hang on it."""

from __future__ import annotations

from pathlib import Path

from processes import run

BRIDGE = "lab0"
PREFIX = 24
HOST = "10.77.0.254"
"""The host's side of the bridge: Ansible, the mirror and QEMU are here."""
MANAGEMENT = "10.77.0.1"
"""The management node in its box."""
FURTHER = ("10.77.0.2", "10.77.0.3")
"""Machines beside it, for those who ask for some."""
LIMIT = 120


def raise_bridge(log: Path) -> None:
    """Make the bridge with the host's address on it."""
    for words in (
        ("link", "set", "lo", "up"),
        ("link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0"),
        ("address", "add", f"{HOST}/{PREFIX}", "dev", BRIDGE),
        ("link", "set", BRIDGE, "up"),
    ):
        run(["ip", *words], log=log, limit=LIMIT)


def add_tap(name: str, log: Path) -> None:
    """Hang a tap called `name` on the bridge."""
    run(["ip", "tuntap", "add", "dev", name, "mode", "tap"], log=log, limit=LIMIT)
    run(["ip", "link", "set", name, "master", BRIDGE, "up"], log=log, limit=LIMIT)
