# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Software is installed into the image that nodes run from, and they have it without a boot (the statelite document, 5)."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from pathlib import Path

from converge import INVENTORY, RECAP, play
from lab import Lab
from processes import run

PLAYBOOK = "diskless.statelite.update_running"
IMAGE = "debian12-compute"
SERVICE = "site-clock.service"
PLACE = "/srv/site-clock.deb"
CONTROL = "Package: site-clock\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: a clock of the site\n"
UNIT = "[Unit]\nDescription=Clock of the site\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/site-clock\n"
PROGRAM = "#!/bin/sh\necho 'the clock of the site, version 1' > /run/site-clock\n"
POSTINST = "#!/bin/sh\nset -e\nsystemctl enable site-clock.service\nip -o address show > /dev/null 2>&1 || true\n"
FILES = {"DEBIAN/control": CONTROL, "DEBIAN/postinst": POSTINST, f"usr/lib/systemd/system/{SERVICE}": UNIT, "usr/bin/site-clock": PROGRAM}
QUESTIONS = {
    "boot": "cat /proc/sys/kernel/random/boot_id",
    "program": "ls /usr/bin/site-clock",
    "said": "cat /run/site-clock",
    "active": f"systemctl is-active {SERVICE}",
    "enabled": f"systemctl is-enabled {SERVICE}",
}


def package_to(lab: Lab, log: Path) -> None:
    """Build the site's own package and put it on the management node."""
    with tempfile.TemporaryDirectory(prefix="statelite-lab-") as directory:
        tree = Path(directory) / "tree"
        for name, text in FILES.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text, encoding="utf-8")
            (tree / name).chmod(0o755 if text.startswith("#!") else 0o644)
        (tree / "usr/lib/systemd/system" / SERVICE).write_text(f"{UNIT}[Install]\nWantedBy=multi-user.target\n", encoding="utf-8")
        content = Path(directory) / "content"
        (content / "srv").mkdir(parents=True)
        run(["dpkg-deb", "--root-owner-group", "--build", str(tree), f"{content}{PLACE}"], log=log, limit=60)
        lab.box.put(content)
        shutil.rmtree(tree)


def reaches_running_nodes(lab: Lab) -> None:
    """Install the package into the tree that both nodes run from, and let the playbook restart its service on one after the other."""
    log = lab.run / "update-running.log"
    before = {node.name: lab.talk.ask(node, QUESTIONS) for node in lab.nodes}
    package_to(lab, lab.run / "update-package.log")
    variables = {
        "statelite_update_image": IMAGE,
        "statelite_update_packages": [PLACE],
        "statelite_update_services": [SERVICE],
        "statelite_update_serial": 1,
    }
    words = ["--extra-vars", json.dumps(variables)]
    with lab.progress.stage("a package comes into the image that both nodes run from, and its service starts on each in turn", log):
        play(lab.box, log, PLAYBOOK, words, INVENTORY)
    for node in lab.nodes:
        now = lab.talk.ask(node, QUESTIONS)
        same = "no boot" if now["boot"] == before[node.name]["boot"] else "another boot"
        first = "not there" if "No such" in before[node.name]["program"] else "there"
        seen = f"{same}; {first}, then {now['said']}; {now['active']}, {now['enabled']}"
        wanted = "no boot; not there, then the clock of the site, version 1; active, enabled"
        lab.saw("a package installed into the running image: its program and service on the node", node.name, seen, wanted)
    said = lab.box.command(
        f"systemctl status {shlex.quote(SERVICE)} 2>&1 || true; ls /install/netboot/debian12/x86_64/compute/generations/*/manifest+*.json"
    )
    seen = f"{'no unit' if 'could not be found' in said else 'a unit'} on it, {said.count('manifest+1.json')} amended generation"
    lab.saw("the management node after its nodes were updated", "mn1", seen, "no unit on it, 1 amended generation")
    again = lab.run / "update-again.log"
    with lab.progress.stage("the same playbook again", again):
        recaps = RECAP.findall(play(lab.box, again, PLAYBOOK, words, INVENTORY))
    changed = ", ".join(f"{host} {changed}" for host, _ok, changed, _unreachable, _failed in recaps)
    lab.saw("the same update again: hosts that were asked, and tasks that changed something", "mn1", changed, "mn1 0")
