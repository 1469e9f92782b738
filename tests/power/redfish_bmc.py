# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BMCs that speak Redfish, by sushy-tools: `python redfish_bmc.py FILE`. One server answers for all; each address has one machine.

What the emulator's own machines do at a random moment later, these do at once; one that is off refuses a restart, as hardware does.
"""

from __future__ import annotations

import ssl
import uuid
from pathlib import Path
from typing import Any, ClassVar

import bcrypt
import flask
from machine import Board, RefusedError, boards
from sushy_tools import error
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver

ACTIONS = {"On": "on", "ForceOn": "on", "ForceOff": "off", "ForceRestart": "reset"}
"""What is carried out; the graceful ones need an operating system that listens."""


class Driver(fakedriver.FakeDriver):
    """The emulator's systems: of each request the one of the address that it came to."""

    boards: ClassVar[dict[str, Board]] = {}

    @property
    def systems(self) -> list[str]:
        """Return the identity of the one system."""
        return [self._identity(flask.request.host)]

    def get_power_state(self, identity: str) -> str:
        """Return On or Off."""
        return "On" if self._board(identity).machine.is_on else "Off"

    def set_power_state(self, identity: str, state: str) -> None:
        """Switch the machine."""
        machine = self._board(identity).machine
        if state not in ACTIONS:
            raise error.NotSupportedError(f"{state} needs an operating system that listens")
        if ACTIONS[state] == "reset" and not machine.is_on:
            raise error.Conflict(f"{state} of a system that is off")
        try:
            machine.do(ACTIONS[state])
        except RefusedError as refused:
            raise error.FishyError(str(refused)) from refused

    def set_boot_device(self, identity: str, boot_source: str) -> None:
        """Remember the device, and have the machine boot from the network when it is that."""
        if boot_source == "Pxe":
            self._board(identity).machine.do("network")
        super().set_boot_device(identity, boot_source)

    @staticmethod
    def _identity(address: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, address))

    def _board(self, identity: str) -> Board:
        return next(board for address, board in self.boards.items() if self._identity(address) == identity)


def main() -> None:
    """Answer until somebody ends this."""
    told, found = boards()
    folder = Path(told["state"])
    users = {board.user: board.password for board in found}
    words = [f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n" for user, password in users.items()]
    (folder / "users").write_text("".join(words), encoding="utf-8")
    (folder / "users").chmod(0o600)
    Driver.boards = {board.address: board for board in found}
    systems: list[dict[str, Any]] = [
        {"uuid": Driver._identity(board.address), "name": board.machine.name, "power_state": "Off", "nics": []} for board in found
    ]
    fakedriver.FakeDriver = Driver
    emulator.app.configure(
        extra_config={
            "SUSHY_EMULATOR_AUTH_FILE": str(folder / "users"),
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_FAKE_SYSTEMS": systems,
            "SUSHY_EMULATOR_STATE_DIR": str(folder),
        }
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(told["certificate"], told["key"])
    emulator.app.run(host=told["listen"], port=443, ssl_context=context, threaded=True)


if __name__ == "__main__":
    main()
