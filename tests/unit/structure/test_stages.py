# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage that tried nothing, or less than it says, does not look like one that passed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from .house import ROOT


@pytest.fixture(name="stages")
def make_stages(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests/run"))
    yield importlib.import_module("stages")
    for name in ("stages", "report", "setup", "places"):
        sys.modules.pop(name, None)


class Wrote:
    """A log whose commands print one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def run(self, *_arguments: object, **_options: object) -> str:
        return self.text


def test_a_lab_that_checked_nothing_is_a_failure(stages):
    assert stages.lab(Wrote("ok one\nsomething\nPASS two\n")) == 2
    with pytest.raises(stages.StageError):
        stages.lab(Wrote("nothing was tried\n"))


@pytest.mark.parametrize("text", ["match 1:\n    case 1:\n        pass\n", "try:\n    pass\nexcept* ValueError:\n    pass\n"])
def test_what_the_floor_cannot_parse_is_a_failure(stages, tmp_path: Path, text):
    (tmp_path / "good.py").write_text("x: int | None = None\n", encoding="utf-8")
    assert stages.grammar_of_floor(tmp_path.glob("*.py")) == 1
    (tmp_path / "bad.py").write_text(text, encoding="utf-8")
    with pytest.raises(stages.StageError, match=r"bad\.py line"):
        stages.grammar_of_floor(tmp_path.glob("*.py"))
    with pytest.raises(stages.StageError):
        stages.grammar_of_floor([])


def test_an_interpreter_of_the_floor_is_found_where_pyenv_keeps_it(stages, monkeypatch, tmp_path):
    program = tmp_path / "versions/3.9.99/bin/python3.9"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    assert stages.python_of_floor() == str(program.parent)


def test_a_remark_stands_on_the_line_of_its_stage(stages, capsys, monkeypatch):
    report = importlib.import_module("report")
    monkeypatch.setattr(report, "LOGS", ROOT / "build" / "log" / "of-tests")
    assert report.run([report.Stage("tried", lambda log: log.remark("half of it"), 10)]) == 0
    assert "half of it" in capsys.readouterr().out.splitlines()[0]


PLAYED = """\
Running binfmt_handler integration test role
[ERROR]: Task failed: one that was meant to
testhost : ok=26   changed=9    unreachable=0    failed=0    skipped=2    rescued=1    ignored=0
Running image_import integration test role
[ERROR]: Task failed: one that was meant to
[ERROR]: Task failed: the bundle is not signed
testhost : ok=9    changed=3    unreachable=0    failed=1    skipped=0    rescued=1    ignored=0
Running table_import integration test role
testhost : ok=9    changed=3    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
"""


def test_the_line_of_a_failed_stage_names_what_failed(stages, capsys, monkeypatch):
    report = importlib.import_module("report")
    monkeypatch.setattr(report, "LOGS", ROOT / "build" / "log" / "of-tests")

    def fail(log):
        log.say(f"{PLAYED}FAILED tests/unit/test_a.py::test_b - assert 1 == 2\nFAIL  n1 boots\n")
        raise report.StageError("it ended with status 1")

    assert report.run([report.Stage("tried", fail, 10)]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith(
        "  it ended with status 1; image_import: Task failed: the bundle is not signed; "
        "tests/unit/test_a.py::test_b - assert 1 == 2; n1 boots"
    )


def test_the_full_run_leaves_nothing_out(stages):
    names = [stage.name for stage in stages.FULL]
    assert {stage.name for stage in (*stages.TEST, *stages.BENCH)} <= set(names)
    assert len(names) == len(set(names))
    assert {"guest", "boots", "properties"} <= set(names)
    assert stages.FUZZ_LONG >= 600


def test_a_bench_that_measured_nothing_is_a_failure(stages):
    assert stages.measured(Wrote("ok   60 entries\nok   60 rows\n"), ("agent",), ("liteimg", "60"), seen=False) == 4
    for stage in (stages.bench, stages.tripwire, stages.fuzz, stages.guest):
        with pytest.raises(stages.StageError):
            stage(Wrote("fail 60 entries\n"))


def test_what_the_quick_run_leaves_out_is_there_and_run_by_the_whole_one(stages):
    assert [name for name in stages.LONG if not (ROOT / "tests/unit" / name).is_file()] == []
    assert "units" in {stage.name for stage in stages.TEST}
    ran = []
    stages.pytest = lambda _log, *paths, **_extra: ran.extend(paths)
    stages.unit(None)
    assert ran == ["tests/unit", *(f"--ignore=tests/unit/{name}" for name in stages.LONG)]
