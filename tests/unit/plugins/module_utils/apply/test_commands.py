# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command ends with the process that runs it, whatever ends that; what can't be run is told by its name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply import commands
from ansible_collections.diskless.statelite.plugins.module_utils.apply.commands import run_command
from ansible_collections.diskless.statelite.plugins.module_utils.apply.pipelines import Stage, run_pipeline
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError

RUNNER = """
import sys
from pathlib import Path
from ansible_collections.diskless.statelite.plugins.module_utils.apply import commands
from ansible_collections.diskless.statelite.plugins.module_utils.apply.pipelines import Stage, run_pipeline

if sys.argv[3] == "old":
    commands.binder = lambda: (sys.executable, "-IS", "-c", commands.BY_PYTHON)
script = ["sh", "-c", 'echo $$ > "$0"; exec sleep 600', sys.argv[2]]
if sys.argv[1] == "command":
    commands.run_command(script, limit=600, mend="Wait")
else:
    run_pipeline([Stage("sleep", script)], sys.argv[2] + ".out", limit=600, mend="Wait")
"""


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


@pytest.mark.parametrize(("way", "setpriv"), [("command", "new"), ("command", "old"), ("pipeline", "new")])
def test_a_command_ends_with_the_process_that_was_killed(way: str, setpriv: str, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    places = os.pathsep.join(path for path in sys.path if path)
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, way, str(told), setpriv], env={**os.environ, "PYTHONPATH": places})
    until(lambda: told.exists() and told.read_text())
    command = Path("/proc") / told.read_text().strip()
    assert command.exists()
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    until(lambda: not command.exists() or "(zombie)" in (command / "status").read_text())


def test_a_machine_whose_setpriv_knows_no_signal_has_python_ask_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "setpriv"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setattr(commands, "ENVIRONMENT", {**commands.ENVIRONMENT, "PATH": f"{tmp_path}:{commands.ENVIRONMENT['PATH']}"})
    commands.binder.cache_clear()
    try:
        assert commands.binder()[0] == sys.executable
        assert run_command(["sh", "-c", 'printf "%s|" "$@"', "sh", "a b", "", "*"], limit=30, mend="") == "a b||*|"
    finally:
        commands.binder.cache_clear()


def test_a_program_that_is_not_there_is_told_by_its_name() -> None:
    with pytest.raises(SiteError, match=r"no-such-program: cannot be run \(No such file or directory\)\. Install it"):
        run_command(["no-such-program", "--words"], limit=60, mend="Install it")


def test_a_program_that_may_not_be_run_is_told_by_its_path_with_the_mend(tmp_path: Path) -> None:
    script = tmp_path / "post install"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(SiteError) as refused:
        run_command([str(script)], limit=60, mend="Install it")
    (fault,) = refused.value.faults
    assert (fault.where, fault.what, fault.mend) == (str(script), "is not executable", f"Run chmod +x '{script}'")
    with pytest.raises(SiteError, match=r"post install: is not executable\. Run chmod \+x "):
        run_pipeline([Stage("first", [str(script)])], str(tmp_path / "out"), limit=60, mend="Install it")
    script.rename(tmp_path / "found")
    with pytest.raises(SiteError, match=rf"{tmp_path}/found: is not executable"):
        run_command(["found"], limit=60, mend="Install it", environment={"PATH": f"/nowhere:{tmp_path}"})
    with pytest.raises(SiteError, match="cannot be run"):
        run_command([str(tmp_path)], limit=60, mend="Install it")


def test_the_last_lines_and_the_status_are_the_commands_own() -> None:
    with pytest.raises(SiteError, match=r"sh: ended with status 3; its last lines were:\nwrong"):
        run_command(["sh", "-c", "echo wrong >&2; exit 3"], limit=60, mend="Mend it")
    assert run_command(["sh", "-c", 'printf "%s|" "$@"', "sh", "a b", "", "*"], limit=60, mend="") == "a b||*|"
