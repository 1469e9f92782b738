# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools that fill an image with RPM packages, run so that rpm keeps to the image's own places and a script's failure is seen.

rpm's settings of this machine are those of its own distribution: Debian's keeps the database in root's home directory.
Ours stand in a home directory that exists in the tool's own mounts only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...apply.commands import last_lines, run_command
from ...errors import Fault, SiteError, raise_faults
from ..mounts import alone, beside_chroot

HOME = "/run/statelite-packages"
"""A directory that a script which writes into its home finds on the image's volatile /run."""

WORK = f"{HOME}/work"
"""Where a tool finds the directory of its work, on this machine and in the image, on the image's volatile /run: dnf and zypper take
the paths of their caches and logs as paths in the image, wherever they lead, and nothing of them may stay there."""

WITH_MACROS = f"""
set -e
mkdir -p {HOME}
mount -t tmpfs -o mode=700 tmpfs {HOME}
printf '%s' "$1" > {HOME}/.rpmmacros
bind_work() {{
    mkdir -p "$2{WORK}"
    mount --bind "$1" "$2{WORK}"
}}
[ -z "$2" ] || bind_work "$2" ""
[ -z "$2" ] || [ -z "$3" ] || bind_work "$2" "$3"
shift 3
status=0
"$@" 2>&1 || status=$?
echo "statelite-status $status"
"""

STATUS = re.compile(r"statelite-status ([0-9]+)\s*\Z")
NAMED = r"%(?P<kind>\w+)\((?P<package>[^)]+)\)"
FAILURES = (
    re.compile(rf"(?:warning|error): {NAMED} scriptlet failed, (?P<how>.*)"),
    re.compile(rf'error: (?P<how>(?:lua script failed|invalid syntax in lua script): \[string "{NAMED}"\].*)'),
    re.compile(r"Warning: (?P<package>\S+?)(?:\.rpm)? %(?P<kind>\w+) script failed \((?P<how>.*)\)"),
)
"""How a failed script is told: by rpm, by rpm of one in Lua, which it runs itself, and by zypper, which runs %posttrans itself."""

PROGRESS = re.compile(
    r"\s+(?:Running scriptlet|Installing|Preparing|Upgrading|Cleanup|Erasing|Verifying)\s*:"
    r"|\(?\d+/\d+\)|Additional rpm output:|rpm: (?:RPM should|However)"
    r"|Error in \S+ scriptlet in rpm package|Executing %\w+ script|Output of \S+ %\w+ script:"
)
"""Lines of the tools' own between those of the scripts; Debian's rpm says at each call that it is not Debian's way."""

SAID = 5
"""Lines of a script's output that are told when it fails."""

FAILED = "Mend the package or leave it out; where the failure is harmless, set the image's column scriptlets to warn"
MEND = "Read the lines above; check pkgdir, the package list and the network, then run genimage again: the last good image is untouched"
NETSHARED = "/proc:/sys:/dev"
"""What is mounted while packages are unpacked; rpm fails when it would change the owner of /proc."""


@dataclass(frozen=True)
class RpmTool:
    """How rpm and what drives it are run for one image: its database's place, the environment, the seconds a run may take."""

    place: str
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: float = 7200

    @property
    def macros(self) -> str:
        """Return rpm's settings. The image's database lies where its own distribution looks for it."""
        return f"%_dbpath {self.place}\n%_netsharedpath {NETSHARED}\n"

    def try_run(self, command: list[str], root: str = "", environment: Mapping[str, str] | None = None, work: str = "") -> tuple[int, str]:
        """Run `command` beside the image at `root` ('' for none) and return its exit status and all that it wrote.

        The directory `work` ('' for none) is at WORK for it, in the image too.
        """
        inside = ["sh", "-c", WITH_MACROS, "statelite", self.macros, work, root, *command]
        text = run_command(
            beside_chroot(root, *inside) if root else alone(*inside),
            limit=self.limit,
            mend=MEND,
            environment={**self.environment, **(environment or {}), "HOME": HOME},
            name=command[0],
        )
        ended = STATUS.search(text)
        if not ended:
            raise SiteError.of(command[0], f"was cut off; its last lines were:\n{last_lines(text)}", MEND)
        return int(ended.group(1)), text[: ended.start()]

    def run(
        self,
        command: list[str],
        root: str = "",
        environment: Mapping[str, str] | None = None,
        good: tuple[int, ...] = (0,),
        scripts_failed: int | None = None,
        name: str = "",
        work: str = "",
    ) -> tuple[str, list[str]]:
        """Run `command`; return what it wrote and the failures of packages' scripts that it let pass.

        `name` is what errors call the command. Raises SiteError when it ends with a status not in `good`, nor with `scripts_failed`
        while failed scripts are seen: with those failures first, then its last lines.
        """
        status, text = self.try_run(command, root, environment, work)
        failures = failed_scripts(text)
        if status not in good and not (failures and status == scripts_failed):
            faults = [Fault(f"package {package}", what, "Mend the package or leave it out") for package, what in failures]
            what = f"ended with status {status}; its last lines were:\n{last_lines(text)}"
            raise SiteError(*faults, Fault(name or command[0], what, MEND))
        return text, [f"package {package}: {what}" for package, what in failures]


def failed_scripts(text: str) -> list[tuple[str, str]]:
    """Return (package, what happened) for each script that failed, with the last lines it wrote.

    dnf ends well though a script failed after its package was unpacked, and so does zypper in part: only their output tells.
    """
    found: list[tuple[str, str]] = []
    said: list[str] = []
    for line in text.splitlines():
        failed = next((match for match in (each.search(line) for each in FAILURES) if match), None)
        if failed:
            words = "; it said:\n" + "\n".join(said[-SAID:]) if said else ""
            found.append((failed["package"], f"its %{failed['kind']} script failed, {failed['how'].strip()}{words}"))
        said = [] if failed or PROGRESS.match(line) else [*said, line.strip()] if line.strip() else said
    return found


def settle_scripts(failures: list[str], warn: bool) -> list[str]:
    """Return failures as warnings when the image lets them pass; else raise SiteError with all of them."""
    if not warn:
        parts = [failure.partition(": ") for failure in failures]
        raise_faults(Fault(where, what, FAILED) for where, _colon, what in parts)
    return failures
