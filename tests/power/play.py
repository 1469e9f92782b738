# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook boot and the role power with the hooks of docs/power.md, word for word, against emulated BMCs.

(no word)   everything, and the table of what was seen
boot        the playbook boot alone
hold        the BMCs kept up, after it, for trying things by hand
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import emulated
from converge import RECAP
from emulated import Node
from facts import Fact
from files import Site
from runs import Run, Stages, hold
from watching import Watch

HERE = Path(__file__).resolve().parent
LIMIT = 600
NODES = (
    Node("n01", "redfish", password="open-r-sesame"),
    Node("n02", "ipmi", password="open-i-sesame"),
    Node("n03", "redfish", password="open-r-sesame", known="wrong-r-sesame"),
    Node("n04", "ipmi", password="open-i-sesame", known="wrong-i-sesame"),
    Node("n05", "redfish", on=True, password="open-r-sesame"),
    Node("n06", "ipmi", on=True, password="open-i-sesame"),
    Node("n07", "redfish", password="open-r-sesame", silent=True),
    Node("n08", "ipmi", password="open-i-sesame", silent=True),
    Node("n09", "command", password="open-c-sesame"),
    Node("n10", "command", on=True, password="open-c-sesame"),
)
"""In batches of four: the last two of the first know a wrong password, those of the second have a BMC that does not answer."""
BATCH = 4
GOOD = [node for node in NODES if not (node.known or node.silent)]
MANY = len(NODES)


REFUSED = {
    "n03": r".*n03 was not switched \(boot\): .*HTTP Error 401 on GET .*Its BMC does not take the user and password.*",
    "n04": r".*n04 was not switched \(boot\): .*Incorrect password provided\. Its BMC does not take the user and password.*",
    "n07": r".*n07 was not switched \(boot\): .*[Tt]imed out.*\. Does mn1 reach its BMC: name or address .*",
    "n08": r".*n08 was not switched \(boot\): .*\. Does mn1 reach its BMC: name or address .*",
}
"""What is said of nodes whose BMC does not do what it is told: the node, the BMC's own words, the mend."""


class Machines:
    """What the BMCs switch: tests/power/machine.sh, which keeps all in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "reports").mkdir(parents=True)
        self.events = directory / "events"
        self.events.touch()
        for node in NODES:
            if node.on:
                (directory / f"{node.name}.power").touch()

    @property
    def command(self) -> list[str]:
        """Return what the BMCs run."""
        return [str(HERE / "machine.sh"), str(self.directory), "{node}", "{action}"]

    def told(self, since: int = 0) -> list[str]:
        """Return what happened, in order, after so many things had."""
        return self.events.read_text(encoding="ascii").splitlines()[since:]


class Played:
    """The site, and what is run on it; all of Ansible's words are in `logs`."""

    def __init__(self, stages: Stages, site: Site, machines: Machines) -> None:
        self.stages, self.site, self.machines = stages, site, machines
        self.seen: set[str] = set()
        self.leaked: set[str] = set()
        self.secrets = {word for node in NODES for word in (node.password, node.known) if word}

    def ansible(self, name: str, program: str, *words: str) -> tuple[int, str]:
        """Run a program of Ansible's; return its status and what it wrote."""
        log = self.stages.logs / f"{name}.log"
        command = [str(Path(sys.executable).with_name(program)), "--inventory", str(self.site.inventory)]
        command += ["--vault-password-file", str(self.site.vault_password), *words]
        with Watch(self.secrets) as watch, self.stages.progress.stage(name, log), log.open("w", encoding="utf-8") as file:
            ran = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(emulated.environment(self.site.directory / "ansible")),
                timeout=LIMIT,
                check=False,
            )
        text = log.read_text(encoding="utf-8")
        self.seen |= watch.seen
        self.leaked |= watch.told | {line for line in text.splitlines() if any(secret in line for secret in self.secrets)}
        return ran.returncode, text

    def boot(self, name: str, *words: str) -> tuple[int, str]:
        """Run the playbook boot with everything that it can print."""
        variables = {
            "statelite_site": str(self.site.directory / "site.db"),
            "answer_service_spool": str(self.machines.directory / "reports"),
        }
        variables |= {"statelite_noderange": ",".join(node.name for node in NODES), "statelite_batch": BATCH, "statelite_may_fail": 50}
        variables |= {"statelite_boot_timeout": 60}
        return self.ansible(name, "ansible-playbook", "-vvv", "--extra-vars", json.dumps(variables), *words, "diskless.statelite.boot")

    def switch(self, name: str, action: str, *nodes: str) -> dict[str, bool]:
        """Run the role power for some nodes; return for each that it did not fail for whether it changed something."""
        words = ["--extra-vars", json.dumps({"power_action": action, "switched": list(nodes)}), str(HERE / "switch.yml")]
        _status, text = self.ansible(name, "ansible-playbook", "-vvv", *words)
        found = RECAP.findall(text)
        return {node: int(changed) > 0 for node, _ok, changed, _unreachable, failed in found if not int(failed)}

    def saw(self, title: str, where: str, seen: object, wanted: str) -> None:
        """Note a fact."""
        self.stages.facts.append(Fact(title, where, str(seen), wanted))


def failures(text: str) -> dict[str, str]:
    """Return the last failure of each node, as Ansible prints it."""
    return {
        match["node"]: match["said"]
        for match in re.finditer(r"^fatal: \[(?P<node>\w+)[^]]*\]: \w+! => (?P<said>\{.*?^\})", text, re.MULTILINE | re.DOTALL)
    }


def booted(played: Played) -> None:
    """Boot all nodes, and look at what the BMCs were told."""
    status, text = played.boot("boot")
    told = played.machines.told()
    up = sorted(re.findall(r'"msg": "(\w+) booted at', text))
    played.saw("nodes whose BMC does what it is told boot", "all", up, re.escape(str([node.name for node in GOOD])))
    played.saw("exit status, as others do not", "mn1", status, "[1-9]")
    for node in GOOD:
        mine = [event.partition(" ")[2] for event in told if event.startswith(f"{node.name} ")]
        switched = "'reset'" if node.on else "'on'"
        title = f"what its BMC was told by {node.speaks}, when it was {'on' if node.on else 'off'}"
        played.saw(title, node.name, mine, rf"\['network', {switched}, 'reported'\]")
    batches = [[node.name for node in NODES[first : first + BATCH]] for first in range(0, MANY, BATCH)]
    order = [number for event in told for number, batch in enumerate(batches) if event.split()[0] in batch]
    played.saw("a batch is switched when the one before it has reported", "all", order, re.escape(str(sorted(order))))
    said = failures(text)
    for name, words in REFUSED.items():
        played.saw("what is said of one that was not switched", name, said.get(name, ""), words)


def switched(played: Played) -> None:
    """Switch nodes by a play of the site's own, and look at what the BMCs were told and what Ansible says of it."""
    names = [node.name for node in GOOD]
    before = len(played.machines.told())
    played.boot("check", "--check")
    played.saw("what a check tells the BMCs", "all", played.machines.told(before), r"\[\]")
    changed = played.switch("off", "off", *names)
    played.saw(
        "off: what the BMCs were told", "all", sorted(played.machines.told(before)), re.escape(str([f"{name} off" for name in names]))
    )
    played.saw("off: nodes that it changed", "all", [name for name in names if changed[name]], re.escape(str(names)))
    named = [node.name for node in GOOD if node.speaks != "command"]
    changed = played.switch("off-again", "off", *named)
    played.saw("off once more: nodes that it changed", "all", [name for name in named if changed[name]], r"\[\]")
    before = len(played.machines.told())
    changed = played.switch("status", "status", *named)
    played.saw(
        "status: nodes that answer, and what BMCs were told", "all", (list(changed), played.machines.told(before)), r"\(\[\], \[\]\)"
    )
    played.switch("reset", "reset", *named)
    played.saw("a reset of what is off: the BMCs refuse", "all", [one for one in played.machines.told(before) if "reset" in one], r"\[\]")
    played.switch("on", "on", *named)
    on = [one for one in played.machines.told(before) if one.endswith(" on")]
    played.saw("on: what the BMCs were told", "all", sorted(on), re.escape(str([f"{name} on" for name in named])))


def everything(stages: Stages) -> None:
    """Start the BMCs and play."""
    site = Site(stages.logs / "site", NODES)
    machines = Machines(stages.logs / "machines")
    emulated.network(NODES, stages.logs)
    emulated.hang(NODES, stages.ends)
    emulated.start(NODES, machines.command, stages.logs, stages.ends)
    played = Played(stages, site, machines)
    rows = json.dumps([{"node": node.name, "groups": ["all"]} for node in NODES])
    arguments = json.dumps({"site": str(site.directory / "site.db"), "rows": json.loads(rows)})
    played.ansible("nodes", "ansible", "mn1", "--module-name", "diskless.statelite.node", "--args", arguments)
    booted(played)
    if stages.word != "boot":
        switched(played)
    played.saw(
        "modules whose command lines were looked at", "mn1", sorted(played.seen), r"\['ipmi_boot', 'ipmi_power', 'redfish_command'\]"
    )
    played.saw("passwords in output or command lines", "all", sorted(played.leaked), r"\[\]")
    if stages.word == "hold":
        hold(stages.progress, [])


if __name__ == "__main__":
    sys.exit(Run("power", __doc__ or "", HERE, lambda _log: None, everything, ("all", "boot", "hold")).main())
