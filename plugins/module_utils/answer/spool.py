# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot reports and failures as nodes send them, one file a node and kind, taken in later by a writer of the database."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .written import write_whole


class Spool:
    """A directory with `<node>.json` (the last good report) and `<node>.failure.json` (failed boots since then)."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name.replace("/", "_"))

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """Put a whole file in place by one rename; a reader never sees a part."""
        document = {"received": int(time.time()), **content}
        write_whole(self._path(name), (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace"))

    def failures(self, node: str) -> int:
        """Return how often the node failed to boot since its last good report."""
        try:
            with open(self._path(f"{node}.failure.json"), encoding="utf-8") as stream:
                return int(json.load(stream)["attempts"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def take_report(self, node: str, address: str, report: Any) -> None:
        """Keep a node's report of a boot that went well, and forget the failures before it."""
        self._write(f"{node}.json", {"node": node, "address": address, "failed_before": self.failures(node), "report": report})
        failure = self._path(f"{node}.failure.json")
        if os.path.exists(failure):
            os.unlink(failure)

    def take_failure(self, node: str, address: str, told: dict[str, str]) -> int:
        """Keep what a node says about a boot that failed; return the number of failures since its last good report."""
        attempts = self.failures(node) + 1
        self._write(f"{node}.failure.json", {"node": node, "address": address, "attempts": attempts, **told})
        return attempts
