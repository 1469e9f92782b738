# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site on PostgreSQL: a management node, a service node with a standby beside it, and the machine of the server, each in its box.

(no word)   everything, and the table of what was seen
hold        the machines kept up, with the management node converged, for trying things by hand
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mirror
import network
import places
from box import Box, make_tree
from facts import Fact
from processes import LabError
from runs import Run, Stages, hold
from server import Server
from site_played import PlayedSite

HERE = Path(__file__).resolve().parent
FABRICATE = places.REPOSITORY / "tests/integration/targets/genimage/files/fabricate.py"
PACKAGES_PORT = 8081
SERVER, SERVICE = "db1", "sn1"


def make_mirror(log: Path) -> None:
    """Fill the mirror where this machine's own network is."""
    mirror.make_mirror(log)


def raised(stages: Stages) -> PlayedSite:
    """Raise the network, what packages come from, and the three machines."""
    log = stages.logs / "setup.log"
    with stages.progress.stage("network, mirror, a distribution of eleven packages, three machines", log):
        network.raise_bridge(log)
        packages = mirror.make_mirror(log)
        tree = make_tree(packages, log)
        tiny = stages.logs / "tiny"
        stages.ends.callback(places.remove_tree, tiny)
        made = subprocess.run([sys.executable, str(FABRICATE), str(tiny)], capture_output=True, text=True, check=False)
        if made.returncode:
            raise LabError(f"no distribution was made: {made.stderr}")
        for directory, port in ((packages, mirror.PORT), (tiny, PACKAGES_PORT)):
            stages.ends.callback(mirror.serve(directory, network.HOST, stages.logs / f"http-{port}.log", port).stop)
        boxes = [Box(tree, stages.logs / places.BOX, stages.logs)]
        stages.ends.callback(boxes[0].stop)
        for name, address in zip((SERVICE, SERVER), network.FURTHER):
            boxes.append(Box(tree, stages.logs / f"box-{name}", stages.logs, name, address))
            stages.ends.callback(boxes[-1].stop)
        for box in boxes:
            box.wait_until_up()
    site = PlayedSite(stages, boxes[0], boxes[1], Server(boxes[2]))
    with stages.progress.stage("a PostgreSQL server on db1, with TLS and a password", boxes[2].commands):
        site.server.serve()
        for box in boxes[:2]:
            site.server.let_in(box)
    return site


def play(stages: Stages) -> None:
    """Play everything, or keep the machines up."""
    site = raised(stages)
    if stages.word == "hold":
        site.driver_comes()
        site.nodes_are_declared()
        site.converges()
        mn1 = site.mn1
        hold(stages.progress, [mn1.server], f"{' '.join(mn1.ssh_options())} root@{mn1.address}")
        return
    for part in (
        site.check_of_a_bare_machine,
        site.driver_comes,
        site.check_before_the_first_converge,
        site.nodes_are_declared,
        site.converges,
        site.server_stops_during_a_run,
        site.server_is_started_anew_during_a_run,
        site.service_node_reads_its_standby,
        site.another_machine_writes,
        site.primary_is_away,
        site.tables_move,
        site.secret_is_nowhere,
    ):
        try:
            part()
        except LabError as error:
            stages.facts.append(Fact(part.__name__.replace("_", " "), "-", f"it was not played to its end: {error}", ""))


if __name__ == "__main__":
    sys.exit(Run("database", __doc__, HERE, make_mirror, play).main())
