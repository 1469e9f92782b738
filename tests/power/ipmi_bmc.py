# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BMCs that speak IPMI 2.0 over the network, derived from pyghmi's: `python ipmi_bmc.py FILE`. Each address has one machine."""

from __future__ import annotations

from typing import Any

from machine import Board, RefusedError, boards
from pyghmi.ipmi import bmc

NOT_NOW = 0xD5
"""The completion code of a command that the machine can't carry out in the state that it is in."""

OPEN_REQUEST = 48
"""Bytes of a request for a session."""
RMCP_OPEN = b"\x06\x10"
HMAC_SHA1 = 1
NO_SUCH_SUITE = 0x11


class Controller(bmc.Bmc):
    """The BMC of one machine."""

    def __init__(self, board: Board) -> None:
        self.machine = board.machine
        self.device = "default"
        super().__init__({board.user: board.password}, port=623, address=board.address)

    def sessionless_data(self, data: bytes, sockaddr: tuple[str, int]) -> None:
        """Refuse a session that asks for another way to prove who it is than pyghmi's BMC has (HMAC-SHA1), where that only takes no notice.

        Clients then ask again with what all BMCs have (IPMI 2.0, 13.17 and 13.24).
        """
        asked = bytes(data)
        if len(asked) >= OPEN_REQUEST and asked[4:6] == RMCP_OPEN and asked[28] != HMAC_SHA1:
            answer = bytes([asked[16], NO_SUCH_SUITE, 0, 0]) + asked[20:24]
            self.serversocket.sendto(b"\x06\x00\xff\x07\x06\x11" + bytes(8) + bytes([len(answer), 0]) + answer, sockaddr)
        else:
            super().sessionless_data(data, sockaddr)

    def handle_raw_request(self, request: dict[str, Any], session: Any) -> None:
        """Do what is asked once: clients send a request again, under its old number, when the answer takes longer than half a second.

        The answer to the first is the one they take.
        """
        asked = (session.seqlun, request["netfn"], request["command"], bytes(request["data"]))
        if getattr(session, "asked", None) != asked:
            session.asked = asked
            super().handle_raw_request(request, session)

    def get_power_state(self) -> str:
        """Return on or off."""
        return "on" if self.machine.is_on else "off"

    def power_on(self) -> int:
        """Switch it on."""
        return self._do("on")

    def power_off(self) -> int:
        """Take its power away."""
        return self._do("off")

    def power_reset(self) -> int:
        """Start it anew; one that is off refuses."""
        return self._do("reset") if self.machine.is_on else NOT_NOW

    def get_boot_device(self) -> str:
        """Return where the next boot is from."""
        return self.device

    def set_boot_device(self, bootdevice: str) -> None:
        """Have the next boot be from there."""
        self.device = bootdevice
        if bootdevice == "network":
            self.machine.do("network")

    def _do(self, action: str) -> int:
        try:
            self.machine.do(action)
        except RefusedError:
            return NOT_NOW
        self.device = "default"
        return 0


def main() -> None:
    """Answer until somebody ends this."""
    controllers = [Controller(board) for board in boards()[1]]
    controllers[0].listen()


if __name__ == "__main__":
    main()
