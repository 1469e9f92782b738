# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools in a row: what they write together, and whose fault it is when they fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.diskless.statelite.plugins.module_utils.apply.pipelines import Stage, run_pipeline
from ansible_collections.diskless.statelite.plugins.module_utils.errors import SiteError


def shell(name: str, text: str) -> Stage:
    return Stage(name, ["sh", "-c", text])


def test_the_first_reads_the_source_and_the_last_writes_the_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("b\na\n")
    stages = [shell("cat", "cat"), shell("sort", "sort"), shell("tag", 'sed "s/^/$TAG/"')]
    run_pipeline(stages, str(tmp_path / "out"), limit=60, mend="", source=str(tmp_path / "in"), environment={"TAG": "-"})
    assert (tmp_path / "out").read_text() == "-a\n-b\n"


def test_who_only_lost_its_reader_is_not_blamed(tmp_path: Path) -> None:
    with pytest.raises(SiteError) as failed:
        run_pipeline([shell("yes", "exec yes"), shell("last", "echo why >&2; exit 3")], str(tmp_path / "out"), limit=60, mend="look")
    assert [(fault.where, fault.what) for fault in failed.value.faults] == [("last", "ended with status 3; its last lines were:\nwhy")]


def test_a_first_tool_that_fails_is_told_though_the_last_ends_well(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="first: ended with status 1"):
        run_pipeline([shell("first", "exit 1"), shell("cat", "cat")], str(tmp_path / "out"), limit=60, mend="")


def test_all_are_killed_when_the_limit_is_over(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(SiteError, match=r"one \| two: did not end within 0.3 s"):
        run_pipeline([shell("one", "sleep 60; echo"), shell("two", "cat; sleep 60")], str(tmp_path / "out"), limit=0.3, mend="")
    assert time.monotonic() - started < 50


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="nothing: cannot be run"):
        run_pipeline([shell("yes", "exec yes"), Stage("nothing", ["/no/such/program"])], str(tmp_path / "out"), limit=60, mend="")
