# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer service in a process of its own, as its unit starts it, and a node that never stops asking it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .service import ask

START = """
import sys
from ansible_collections.diskless.statelite.plugins.module_utils.answer.server import main
sys.exit(main(sys.argv[1:]))
"""
PATIENCE = 120.0
"""Seconds until the service must listen."""
SLOWEST = 30.0
"""Seconds after which a node gives up waiting for its answer (service.sh)."""
END = "<serverdone></serverdone>\n</xcatresponse>\n"

Question = tuple[str, ...]
"""A command and its arguments."""


class Serving:
    """The service of one snapshot, listening on a port of this machine until it is stopped."""

    def __init__(self, snapshot: Path, spool: Path, pki: Path, processes: int = 0) -> None:
        spool.mkdir(parents=True, exist_ok=True)
        words = ["--snapshot", str(snapshot), "--certificate", str(pki / "server.pem"), "--key", str(pki / "server.key")]
        words += ["--spool", str(spool), "--address", "127.0.0.1", "--port", "0", "--processes", str(processes)]
        self.log = spool / "log"
        self.log.write_bytes(b"")
        with self.log.open("ab") as log:
            there = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            self.process = subprocess.Popen([sys.executable, "-c", START, *words], env=there, stdin=subprocess.DEVNULL, stderr=log)
        self.port = self._listening()

    def _listening(self) -> int:
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends and self.process.poll() is None:
            found = re.search(r"listening on port (\d+)", self.log.read_text())
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"the service does not listen: {self.log.read_text()}")

    def processes(self) -> list[int]:
        """Return the process that was started, and those that it has started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def peak(self) -> int:
        """Return the MiB that all of them have taken together at their highest, what they share counted for each."""
        status = [Path(f"/proc/{process}/status").read_text() for process in self.processes()]
        return sum(int(re.search(r"VmHWM:\s*(\d+) kB", text).group(1)) for text in status) // 1024

    def stop(self) -> int:
        """End the service as systemd does; return its status."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_ignored: object) -> None:
        self.stop()


class Asking:
    """A node that asks its questions over and over in a thread. No question may go without a whole answer.

    `now` asks once more, here; `gathered` gives what was answered since it was called last. Both fail when any request
    since the beginning was refused, cut off, answered with an error, or slow. `pause` are seconds between two questions.
    """

    def __init__(self, port: int, pki: Path, questions: Sequence[Question], pause: float = 0.005) -> None:
        self.questions = list(questions)
        self._pause = pause
        self.answered = 0
        self._port, self._pki = port, pki
        self._faults: list[str] = []
        self._heard: dict[Question, set[str]] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._on_and_on, daemon=True)

    def _ask(self, question: Question) -> str:
        began = time.monotonic()
        try:
            answer = ask(self._port, self._pki, *question)
            fault = "" if answer.endswith(END) else f"cut off: {answer!r}"
            fault = fault or (f"an error: {answer}" if "<error>" in answer else "")
        except OSError as error:
            answer, fault = "", repr(error)
        took = time.monotonic() - began
        fault = fault or (f"after {took:.1f} s only" if took > SLOWEST else "")
        with self._lock:
            self.answered += 1
            self._heard.setdefault(question, set()).add(answer)
            if fault:
                self._faults.append(f"{' '.join(question)}: {fault}")
        return answer

    def _on_and_on(self) -> None:
        while not self._stop.is_set():
            for question in list(self.questions):
                with self._turn:
                    if question in self.questions:
                        self._ask(question)
                self._stop.wait(self._pause)

    def now(self) -> dict[Question, str]:
        """Ask every question once, here; return the answers."""
        found = {question: self._ask(question) for question in self.questions}
        assert not self._faults, self._faults[:3]
        return found

    def gathered(self) -> dict[Question, set[str]]:
        """Return every answer since the last call; nothing that was asked before this call is heard after it."""
        with self._turn, self._lock:
            heard, self._heard = self._heard, {}
        assert not self._faults, self._faults[:3]
        return heard

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_ignored: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._faults, self._faults[:3]
        assert not self._thread.is_alive()


def only(heard: dict[Question, set[str]], *allowed: dict[Question, str]) -> None:
    """Fail unless everything that was heard is one of the answers of some moment."""
    for question, answers in heard.items():
        strange = answers - {moment[question] for moment in allowed if question in moment}
        assert not strange, f"{' '.join(question)}: {strange}"
