# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the field's tools: an argument list, an explicit environment, a time limit, the last lines of stderr."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from ..errors import Fault, SiteError

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
"""What a command sees unless a caller adds to it; nothing is inherited."""

LAST_LINES = 15

DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""SIGKILL when this process dies; the test is for a parent that died before the signal was asked for."""
BY_PYTHON = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""The same by prctl(PR_SET_PDEATHSIG), where setpriv is older than util-linux 2.33: Enterprise Linux 8."""


@cache
def binder() -> tuple[str, ...]:
    """Return the words before our process number and a command that bind it to us, as this machine has them."""
    asked = ["setpriv", "--pdeathsig", "KILL", "true"]
    try:
        knows = subprocess.run(asked, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        knows = False
    return DIE_WITH_US if knows else (sys.executable, "-IS", "-c", BY_PYTHON)


def with_us(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return `arguments` as a command that ends when this process does, whatever ends it.

    So a run that was killed leaves nobody at work on a tree that the next run mends. Raises FileNotFoundError when there is no
    such program, PermissionError with its path when it may not be run: the shell that is between would tell it otherwise.
    """
    program = arguments[0]
    if shutil.which(program, path=environment["PATH"]) is None:
        places = [program] if "/" in program else [os.path.join(place, program) for place in environment["PATH"].split(":")]
        found = next((place for place in places if os.path.isfile(place)), None)
        number = errno.ENOENT if found is None else errno.EACCES
        raise OSError(number, os.strerror(number), found or program)
    return [*binder(), str(os.getpid()), *arguments]


def not_run(error: OSError, name: str, mend: str) -> SiteError:
    """Return in words why `with_us` or the system could not run a command that is called `name`."""
    if not isinstance(error, PermissionError) or not error.filename:
        return SiteError.of(name, f"cannot be run ({error.strerror or error})", mend)
    path = os.fsdecode(error.filename)
    if os.path.isfile(path) and not os.stat(path).st_mode & 0o111:
        return SiteError.of(path, "is not executable", f"Run chmod +x {shlex.quote(path)}")
    return SiteError.of(path, "may not be run", "See who may use it, and whether its file system is mounted noexec")


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
    causes: Callable[[str], Sequence[Fault]] | None = None,
) -> str:
    """Run `arguments` and return its standard output as text.

    `limit` is in seconds; `environment` is added to ENVIRONMENT; `name` is what errors call the command, by
    default its program. The command leads a process group of its own, which is killed as a whole when the limit
    is over or this process is interrupted; the command itself is when this process is killed.
    Raises SiteError with the exit status and the last lines the tool wrote; before them what `causes` finds in all that it wrote.
    """
    name = name or os.path.basename(arguments[0])
    variables = {**ENVIRONMENT, **(environment or {})}
    try:
        process = subprocess.Popen(
            with_us(arguments, variables),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise not_run(error, name, mend) from error
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
        told = err.decode(errors="replace")
        shown = last_lines(told) or last_lines(text)
        found = causes(f"{text}\n{told}") if causes else ()
        raise SiteError(*found, Fault(name, f"ended with status {process.returncode}; its last lines were:\n{shown}", mend))
    return text
