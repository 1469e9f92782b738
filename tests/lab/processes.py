# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the lab's commands and servers: each has a log with a name, and ends when the lab ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LAST_LINES = 25


class LabError(Exception):
    """The lab could not do its work, or saw what must not be; the message is for the person who started it."""


def tail(log: Path, count: int = LAST_LINES) -> str:
    """Return the last `count` lines of `log` that are not blank; an unreadable log has none."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-count:])


def _finish(arguments: Sequence[str], log: Path, limit: float, stdin: bytes, environment: Mapping[str, str], captured: bool) -> str:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"$ {' '.join(arguments)}\n".encode())
        stream.flush()
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if captured else stream,
            stderr=stream,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            out, _none = process.communicate(stdin, timeout=limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise LabError(f"{arguments[0]} did not end within {limit:g} s; its log is {log}:\n{tail(log)}") from error
            raise
        stream.write(out or b"")
    if process.returncode != 0:
        raise LabError(f"{' '.join(arguments)[:200]} ended with status {process.returncode}; its log is {log}:\n{tail(log)}")
    return (out or b"").decode(errors="replace")


def run(arguments: Sequence[str], *, log: Path, limit: float, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end, all it writes going to `log` as it comes.

    `limit` is in seconds; `environment` is added to this process's. Raises LabError with the last lines of the
    log when the command fails or takes longer.
    """
    _finish(arguments, log, limit, b"", environment or {}, captured=False)


def output_of(
    arguments: Sequence[str], *, log: Path, limit: float, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> str:
    """Run a command as `run` does, `stdin` on its standard input; return what it wrote to stdout, which is added to `log` at its end."""
    return _finish(arguments, log, limit, stdin, environment or {}, captured=True)


class Server:
    """A process that goes on beside the lab, all it writes in one log, until `stop`."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                list(arguments), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def require_running(self) -> None:
        """Raise LabError with the log's last lines when the process has ended."""
        if not self.running:
            raise LabError(f"{self.name} ended with status {self.process.returncode}; its log is {self.log}:\n{tail(self.log)}")

    def wait(self, limit: float) -> bool:
        """Wait until the process ends, at most `limit` seconds; return whether it did."""
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, signum: int = signal.SIGTERM, limit: float = 10) -> None:
        """End the process by `signum`; by SIGKILL, with all it started, when it is still there after `limit` seconds."""
        if self.running:
            self.process.send_signal(signum)
            if not self.wait(limit):
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
