# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of 5,000 nodes, converged by the site playbook on a management node in a box: how often modules run there, and what it costs.

(no word)   everything, and the table of what was seen
hold        the management node kept up, with the site converged, for trying things by hand
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import mirror
import network
import places
import seen
from box import Box, make_tree
from converge import converge, invoked
from facts import Fact
from processes import LabError
from runs import Run, Stages, hold

HERE = Path(__file__).resolve().parent
INVENTORY = HERE / "inventory"
NODES = 5000
MOST = 60
"""Module runs on the management node that a whole converge may take."""
LIMIT = 3000


def node_rows(count: int) -> str:
    """Return the rows of so many nodes, as lines of JSON."""
    rows = []
    for number in range(1, count + 1):
        high, low = divmod(number + 1023, 256)
        ip, mac = f"10.77.{high}.{low}", f"52:54:00:77:{high:02x}:{low:02x}"
        rows.append({"node": f"n{number:04d}", "groups": ["compute"], "mac": mac, "ip": ip})
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def make_mirror(log: Path) -> None:
    """Fill the mirror where this machine's own network is."""
    mirror.make_mirror(log)


def converged(stages: Stages, box: Box, name: str, variables: dict[str, object] | None = None, tags: str = "all") -> seen.Converged:
    """Run the site playbook; return what it took."""
    log = stages.logs / f"converge-{name}.log"
    with stages.progress.stage(f"the site playbook: {name}", log):
        before, began = invoked(box), time.monotonic()
        changed = converge(box, log, variables, tags, INVENTORY, LIMIT)
        took = time.monotonic() - began
        ran = invoked(box) - before
    (stages.logs / f"modules-{name}.txt").write_text(
        "".join(f"{count} {module}\n" for module, count in ran.most_common()), encoding="utf-8"
    )
    if not ran:
        raise LabError("the journal of the management node tells of no module, so nothing was counted")
    return seen.Converged(changed, sum(ran.values()), took)


def everything(stages: Stages, box: Box) -> None:
    """Converge, again, with one node more, and with Kea; look at what serves the nodes."""
    facts = stages.facts
    first = converged(stages, box, "first")
    facts.append(Fact("first converge: module runs on the management node, at most 60", "mn1", first.verdict(MOST), r"\d+ of 60"))
    facts.append(Fact("first converge", "mn1", str(first), r".*"))
    again = converged(stages, box, "again")
    facts.append(Fact("again: tasks that changed something", "mn1", str(again.changed), "0"))
    facts.append(Fact("again: module runs", "mn1", again.verdict(MOST), r"\d+ of 60"))
    facts.append(Fact("again", "mn1", str(again), r".*"))
    facts.extend(seen.of_the_nodes(box, NODES))
    box.command("cat > /srv/nodes.jsonl", script=node_rows(NODES + 1))
    pid = seen.ganesha(box)
    more = converged(stages, box, "one-node-more", tags="tables,nodeset,nfs_exports,pxe")
    facts.append(Fact("one node more", "mn1", str(more), r".*"))
    facts.append(Fact("one node more: the NFS server is the same process", "mn1", str(seen.ganesha(box) == pid), "True"))
    facts.extend(seen.of_the_nodes(box, NODES + 1))
    kea = {"pxe_dhcp_server": "kea"}
    turned = converged(stages, box, "kea", kea, tags="pxe")
    facts.append(Fact("addresses by Kea", "mn1", str(turned), r".*"))
    same = converged(stages, box, "kea-again", kea, tags="pxe")
    facts.append(Fact("addresses by Kea, again: tasks that changed something", "mn1", str(same.changed), "0"))
    facts.extend(seen.of_kea(box, NODES + 1))


def play(stages: Stages) -> None:
    """Raise the management node, and look at it or keep it up."""
    log = stages.logs / "setup.log"
    with stages.progress.stage("network, mirror and the management node", log):
        network.raise_bridge(log)
        packages = mirror.make_mirror(log)
        stages.ends.callback(mirror.serve(packages, network.HOST, stages.logs / "mirror-http.log").stop)
        box = Box(make_tree(packages, log), stages.logs / places.BOX, stages.logs)
        stages.ends.callback(box.stop)
        box.wait_until_up()
        box.put(HERE.parent / "lab/content")
        box.command("cat > /srv/nodes.jsonl", script=node_rows(NODES))
    if stages.word == "hold":
        converged(stages, box, "first")
        hold(stages.progress, [box.server], f"{' '.join(box.ssh_options())} root@{network.MANAGEMENT}")
    else:
        everything(stages, box)


if __name__ == "__main__":
    sys.exit(Run("thousands", __doc__, HERE, make_mirror, play).main())
