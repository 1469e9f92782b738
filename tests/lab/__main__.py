# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: a management node in a box, a network of its own, and nodes that really boot from it.

demo | test               converge a site and boot its nodes; `test` looks at more, and slower
manager                   the same site and facts, with an initramfs that gets its address by NetworkManager alone
memory                    the same site, and both nodes with their roots in memory: one stateless, one as statelite
service                   a service node in a box of its own; its node boots while the management node is switched off
matrix                    a site, and machines that boot from it by every method: a line for each, booted or why not
hold                      the same box, network and mirror, kept up for trying things by hand
machine start|stop|keep   a management node for somebody else's playbooks; further names are further machines
"""

from __future__ import annotations

import sys
from pathlib import Path

import machine
import mirror
import places
import preflight
import sandbox
import scenario
from processes import LabError
from progress import Progress

MACHINE = {"start": machine.start, "stop": machine.stop, "keep": machine.keep}


def main(arguments: list[str]) -> int:
    """Do what the words say; return the exit status."""
    if len(arguments) >= 3 and arguments[0] == "machine" and arguments[1] in MACHINE:
        if arguments[1] == "keep" and not sandbox.inside():
            return sandbox.enter(arguments)
        return MACHINE[arguments[1]](Path(arguments[2]).absolute(), *arguments[3:])
    if len(arguments) != 1 or arguments[0] not in scenario.SCENARIOS:
        print(__doc__, file=sys.stderr)
        return 2
    if sandbox.inside():
        return scenario.play(arguments[0])
    preflight.require_machine()
    places.CACHE.mkdir(parents=True, exist_ok=True)
    log = places.CACHE / "mirror.log"
    with Progress().stage("the lab's mirror of Debian packages", log):
        mirror.make_mirror(log)  # here, where the machine's own network is
    return sandbox.enter(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        print(f"the lab failed: {error}", file=sys.stderr)
        sys.exit(1)
