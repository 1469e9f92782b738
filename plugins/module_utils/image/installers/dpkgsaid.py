# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package's script failed, and its own words, in what dpkg wrote: a hundred packages may be set up after it (pure)."""

from __future__ import annotations

import re

from ...errors import Fault

PROGRESS = re.compile(
    r"(?:Setting up|Unpacking|Preparing to unpack|Processing triggers for|Selecting previously unselected|Removing|Purging|\(Reading) "
)
PROCESSING = re.compile(r"dpkg: error (?:processing|cleaning up)")
FAILED = re.compile(
    r"\s+(?:(?:new|installed|old) (?P<package>\S+) package (?P<script>\S+) script subprocess) (?P<how>returned error .*|was killed .*)"
)
SAID = 5
"""Lines of a script's output that are told when it fails."""

MEND = "Mend the package or leave it out"


def script_faults(text: str) -> list[Fault]:
    """Return a fault for each script that failed, with the last lines it wrote."""
    found: list[Fault] = []
    said: list[str] = []
    for line in text.splitlines():
        failed = FAILED.match(line)
        if failed:
            words = "; it said:\n" + "\n".join(said[-SAID:]) if said else ""
            found.append(Fault(f"package {failed['package']}", f"its {failed['script']} script {failed['how']}{words}", MEND))
        if failed or PROGRESS.match(line):
            said = []
        elif line.strip() and not PROCESSING.match(line):
            said.append(line.strip())
    return list(dict.fromkeys(found))
