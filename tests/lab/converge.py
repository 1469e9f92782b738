# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge the site in the box: the collection's own playbook, by ssh, with the lab's inventory."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from box import Box
from places import BUILD, LAB
from processes import LabError, output_of, run

PLAYBOOK = "diskless.statelite.site"
INVENTORY = LAB / "inventory"
LIMIT = 1200
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
INVOKED = "journalctl --quiet --no-pager --boot --grep='^Invoked with' --output-fields=SYSLOG_IDENTIFIER --output=json"


def converge(
    box: Box, log: Path, variables: Mapping[str, object] | None = None, tags: str = "all", inventory: Path = INVENTORY, limit: float = LIMIT
) -> int:
    """Run the playbook against the box and return how many tasks changed something; raise LabError when one failed.

    All that Ansible writes goes to `log`, which must be a new file; `variables` override the inventory's; only
    tasks with one of `tags` run.
    """
    words = ["--tags", tags, *(["--extra-vars", json.dumps(dict(variables))] if variables else [])]
    text = play(box, log, PLAYBOOK, words, inventory, limit)
    recaps = RECAP.findall(text)
    if not recaps:
        raise LabError(f"{PLAYBOOK} ran on no host; its log is {log}")
    return sum(int(changed) for _host, _ok, changed, _unreachable, _failed in recaps)


def play(box: Box, log: Path, playbook: str, options: Sequence[str] = (), inventory: Path = INVENTORY, limit: float = LIMIT) -> str:
    """Run a playbook against the box and return what Ansible wrote, which is in `log`; raise LabError when a task failed."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "--inventory", str(inventory), "--diff", *options, playbook]
    run(command, log=log, limit=limit, environment=environment(box))
    return log.read_text(encoding="utf-8", errors="replace")


def ask(box: Box, module: str, arguments: Mapping[str, object], inventory: Path = INVENTORY) -> dict[str, Any]:
    """Run one module of the collection on the box and return its result; raise LabError when it fails."""
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, "--inventory", str(inventory), "management_node", "--module-name", f"diskless.statelite.{module}"]
    command += ["--args", json.dumps(dict(arguments))]
    text = output_of(command, log=box.logs / "modules.log", limit=LIMIT, environment=environment(box))
    return dict(json.loads(text.partition(" => ")[2]))


def invoked(box: Box) -> Counter[str]:
    """Return how often each module has run on the box: every one writes so into its journal when it begins."""
    lines = box.command(f"{INVOKED} || true", limit=120).splitlines()
    return Counter(json.loads(line)["SYSLOG_IDENTIFIER"].removeprefix("ansible-") for line in lines)


def environment(box: Box) -> dict[str, str]:
    """Return the environment in which Ansible finds this collection and the box."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "workspace"),
        "ANSIBLE_HOME": str(box.directory / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_SSH_ARGS": " ".join(box.ssh_options()),
        "ANSIBLE_DISPLAY_OK_HOSTS": "true",
    }
