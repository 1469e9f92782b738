# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch every command line of this process namespace for words that must not stand in one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

PAUSE = 0.01


class Watch:
    """Looks until the block ends; `told` are the command lines with a secret in them, `seen` the programs of community.general that ran."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = [secret.encode() for secret in secrets]
        self.told: set[str] = set()
        self.seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(PAUSE):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = file.read_bytes()
                    self.seen |= {name for name in ("redfish_command", "ipmi_boot", "ipmi_power") if f"AnsiballZ_{name}".encode() in words}
                    if any(secret in words for secret in self.secrets):
                        self.told.add(words.replace(b"\0", b" ").decode(errors="replace"))
