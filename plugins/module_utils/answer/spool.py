# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot reports and failures as nodes send them, one file a node and kind; `nodes/reports.py` reads them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from typing import Any

from ..errors import SiteError
from .written import TEMPORARY, write_whole

LOG = logging.getLogger("statelite-answer")
LIMIT = 256 * 1024
"""Bytes of one file of the spool: a few thousand entries."""
TOLD_LIMIT = 4096
"""Characters of each text that a failed boot tells."""


def sweep(directory: str) -> None:
    """Remove what writers that were killed left in the spool; nobody writes there now."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.endswith(TEMPORARY):
                os.unlink(os.path.join(directory, name))


class Spool:
    """A directory with `<node>.json` (the last good report) and `<node>.failure.json` (failed boots since then)."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name.replace("/", "_"))

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """Put a whole file in place by one rename; a reader never sees a part."""
        document = {"received": int(time.time()), **content}
        text = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
        if len(text) > LIMIT:
            raise SiteError.of(
                f"report of {content['node']}", f"is larger than {LIMIT} bytes", "Look at /.statelite/report.json on the node"
            )
        try:
            write_whole(self._path(name), text)
        except OSError as error:
            mend = "See whether the disk of this server is full, and run the role answer_service"
            found = SiteError.of(self._path(name), f"can't be written: {error.strerror}", mend)
            LOG.error("%s", found)
            raise found from error

    def failures(self, node: str) -> int:
        """Return how often the node failed to boot since its last good report."""
        try:
            with open(self._path(f"{node}.failure.json"), encoding="utf-8") as stream:
                return int(json.load(stream)["attempts"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def take_report(self, node: str, address: str, report: Any) -> None:
        """Keep a node's report of a boot that went well, and forget the failures before it.

        Of a very long one only the entries that are not done are kept. Raises SiteError when that is too long too.
        """
        if len(json.dumps(report)) > LIMIT // 2 and isinstance(report, dict) and isinstance(report.get("entries"), list):
            failed = [entry for entry in report["entries"] if isinstance(entry, dict) and entry.get("status") != "done"]
            report = {**report, "entries": failed, "left_out": len(report["entries"]) - len(failed)}
        self._write(f"{node}.json", {"node": node, "address": address, "failed_before": self.failures(node), "report": report})
        # A report that was sent twice may be taken by two threads or processes at a time.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(f"{node}.failure.json"))

    def take_failure(self, node: str, address: str, told: dict[str, str]) -> int:
        """Keep what a node says about a boot that failed; return the number of failures since its last good report."""
        attempts = self.failures(node) + 1
        told = {name: text[:TOLD_LIMIT] for name, text in told.items()}
        self._write(f"{node}.failure.json", {"node": node, "address": address, "attempts": attempts, **told})
        return attempts
