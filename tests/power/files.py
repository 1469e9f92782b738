# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's files as docs/power.md has them: the inventory, the hooks, the passwords in a vault."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ansible.parsing.vault import VaultLib, VaultSecret
from document import example
from emulated import PYTHON, Node
from processes import LabError

SILENT_LIMIT = 10
"""The seconds that the site gives a BMC that does not answer."""


class Site:
    """The files of a site below one directory, which stands for /etc/statelite and the place of its command."""

    def __init__(self, directory: Path, nodes: Sequence[Node]) -> None:
        self.directory = directory
        self.inventory = directory / "hosts.yml"
        self.vault_password = directory / "vault-password"
        (directory / "group_vars" / "all").mkdir(parents=True)
        self._write("group_vars/all/power.yml", example("yaml", "bmc_passwords["))
        self._write("power.yml", example("yaml", "community.general.redfish_command"))
        self._write("ipmi.yml", example("yaml", "community.general.ipmi_power"))
        self._write("group_vars/ipmi.yml", "power_tasks: /etc/statelite/ipmi.yml\n")
        self._write("node-power", example("sh", "ipmitool")).chmod(0o755)
        command = example("yaml", "power_command:")
        self._write("group_vars/command.yml", f'{command}power_tasks: ""\n')
        spoken = {node.password for node in nodes if node.speaks == "command"}
        if len(spoken) != 1:
            raise LabError("the command knows one password")
        self._write("bmc.password", spoken.pop()).chmod(0o600)
        self._secret("group_vars/all/vault.yml", {"bmc_passwords": {node.name: node.known or node.password for node in nodes}})
        self.inventory.write_text(json.dumps(self._hosts(nodes), indent=1), encoding="utf-8")

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        for place in ("/etc/statelite", "/usr/local/sbin"):
            text = text.replace(f"{place}/", f"{self.directory}/")
        path.write_text(text, encoding="utf-8")
        return path

    def _secret(self, name: str, variables: dict[str, object]) -> None:
        """Write variables as ansible-vault would, with a password of this run's own."""
        self.vault_password.write_text("this run's", encoding="utf-8")
        vault = VaultLib([("default", VaultSecret(self.vault_password.read_bytes()))])
        (self.directory / name).write_bytes(vault.encrypt(json.dumps(variables)))

    def _hosts(self, nodes: Sequence[Node]) -> dict[str, object]:
        silent = {"power_timeout": SILENT_LIMIT}
        kinds = {
            kind: {"hosts": {node.name: silent if node.silent else {} for node in nodes if node.speaks == kind}}
            for kind in ("redfish", "ipmi", "command")
        }
        here = {"ansible_connection": "local", "ansible_python_interpreter": str(PYTHON)}
        return {"management_node": {"hosts": {"mn1": here}}, **kinds}
