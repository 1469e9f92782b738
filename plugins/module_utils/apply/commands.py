# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the field's tools: an argument list, an explicit environment, a time limit, the last lines of stderr."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from ..errors import SiteError

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
"""What a command sees unless a caller adds to it; nothing is inherited."""

LAST_LINES = 15


def is_installed(program: str) -> bool:
    """Return whether `run_command` would find the program."""
    return shutil.which(program, path=ENVIRONMENT["PATH"]) is not None


def last_lines(text: str, count: int = LAST_LINES) -> str:
    """Return the last `count` lines of `text` that are not blank."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(kept[-count:])


def run_command(
    arguments: Sequence[str],
    *,
    limit: float,
    mend: str,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    cwd: str | None = None,
    name: str | None = None,
) -> str:
    """Run `arguments` and return its standard output as text.

    `limit` is in seconds; `environment` is added to ENVIRONMENT; `name` is what errors call the command, by
    default its program. The command leads a process group of its own, which is killed as a whole when the limit
    is over or this process is interrupted.
    Raises SiteError with the exit status and the last lines the tool wrote.
    """
    name = name or os.path.basename(arguments[0])
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **(environment or {})},
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise SiteError.of(name, f"cannot be run ({error.strerror or error})", mend) from error
    try:
        out, err = process.communicate(stdin, timeout=limit)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            shown = last_lines(err.decode(errors="replace"))
            raise SiteError.of(name, f"did not end within {limit:g} s; its last lines were:\n{shown}", mend) from error
        raise
    text = out.decode(errors="surrogateescape")
    if process.returncode != 0:
        shown = last_lines(err.decode(errors="replace")) or last_lines(text)
        raise SiteError.of(name, f"ended with status {process.returncode}; its last lines were:\n{shown}", mend)
    return text
