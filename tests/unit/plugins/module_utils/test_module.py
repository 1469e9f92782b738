# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of every module: what is planned is shown, carried out once, and never in check mode; faults are one failure."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.diskless.statelite.plugins.module_utils.errors import Fault, SiteError
from ansible_collections.diskless.statelite.plugins.module_utils.module import DIFF_LIMIT, run, run_info

SPEC = {"rows": {"type": "list", "elements": "dict"}, "content": {"type": "str"}, "site": {"type": "str"}}


class ListPlan:
    """A plan that only remembers whether it was carried out."""

    def __init__(self, lines, done=None):
        self.carried_out = 0
        self._lines = lines
        self._done = done

    def lines(self):
        return self._lines

    def result(self):
        return {"count": len(self._lines)}

    def apply(self):
        self.carried_out += 1
        return self._done


def answer_of(capsys, act, **params):
    """Return (exit code, what the module printed) of a module run with these options."""
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        act()
    return ended.value.code, json.loads(capsys.readouterr().out)


def run_plan(capsys, plan, **params):
    return answer_of(capsys, lambda: run(SPEC, lambda _params, _warn: plan), **params)


def test_a_plan_with_lines_is_carried_out_once_and_shown(capsys):
    plan = ListPlan(["a: 1 -> 2", "b: added"])
    code, answer = run_plan(capsys, plan)
    assert (code, plan.carried_out) == (0, 1)
    assert (answer["changed"], answer["count"], answer["diff"]) == (True, 2, {"prepared": "a: 1 -> 2\nb: added\n"})


def test_check_mode_says_the_same_and_carries_nothing_out(capsys):
    plan = ListPlan(["a: 1 -> 2"])
    looked = run_plan(capsys, plan, _ansible_check_mode=True)[1]
    assert plan.carried_out == 0
    assert looked == run_plan(capsys, plan)[1]


def test_an_empty_plan_is_unchanged_and_not_carried_out(capsys):
    plan = ListPlan([])
    assert run_plan(capsys, plan)[1]["changed"] is False
    assert plan.carried_out == 0


@pytest.mark.parametrize(("done", "changed"), [(["c: added"], True), ([], False)])
def test_what_was_done_is_told_when_it_is_not_what_was_planned(capsys, done, changed):
    answer = run_plan(capsys, ListPlan(["a: added"], done))[1]
    assert (answer["changed"], answer["diff"]["prepared"].split()) == (changed, " ".join(done).split())


def test_a_long_diff_shows_its_first_changes_and_the_count_of_the_rest(capsys):
    shown = run_plan(capsys, ListPlan([f"row {number}" for number in range(DIFF_LIMIT + 7)]))[1]["diff"]["prepared"].splitlines()
    assert (len(shown), shown[-1]) == (DIFF_LIMIT + 1, "... and 7 more changes")


def test_remarks_stand_below_the_changes_and_are_none(capsys):
    class Remarks(ListPlan):
        def remarks(self):
            return [f"row {number}" for number in range(DIFF_LIMIT + 2)]

    shown = run_plan(capsys, Remarks(["a: added"]))[1]["diff"]["prepared"].splitlines()
    assert (shown[:2], shown[-1]) == (["a: added", "# row 0"], "# ... and 2 more remarks")
    quiet = run_plan(capsys, Remarks([]))[1]
    assert (quiet["changed"], quiet["diff"]["prepared"]) == (False, "")


def test_bulk_options_are_echoed_as_counts_and_no_password_is(capsys):
    answer = run_plan(capsys, ListPlan([]), rows=[{}, {}], content="12345", site="postgresql://u:geheim@h/db")[1]
    assert answer["invocation"] == {"module_args": {"rows": "2 rows", "content": "5 characters", "site": "postgresql://..."}}


def test_the_machines_log_is_told_what_is_echoed(capsys, monkeypatch):
    logged = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, log_args=None: logged.append(f"{text} {log_args}"))
    run_plan(capsys, ListPlan([]), rows=[{"comments": "row-one"}], site="postgresql://h/db?password=geheim")
    (text,) = logged
    assert "1 rows" in text
    assert "row-one" not in text
    assert "geheim" not in text


def test_every_fault_is_in_one_failure(capsys):
    def refuse(_params, _warn):
        raise SiteError(Fault("a: x", "it is wrong", "Mend it"), Fault("b: y", "it is missing", "Give it"))

    code, answer = answer_of(capsys, lambda: run(SPEC, refuse))
    assert code == 1
    assert answer["msg"].splitlines() == ["a: x: it is wrong. Mend it", "b: y: it is missing. Give it"]
    assert [fault["mend"] for fault in answer["faults"]] == ["Mend it", "Give it"]
    assert "changed" not in answer
    code, answer = answer_of(capsys, lambda: run_info(SPEC, refuse), site="postgresql://u:geheim@h/db")
    assert (code, len(answer["faults"])) == (1, 2)
    assert "geheim" not in json.dumps(answer)


@pytest.mark.parametrize("act", [run, run_info])
def test_what_the_operating_system_refuses_names_its_path(capsys, act):
    def refuse(_params, _warn):
        with open("/proc/nowhere/file", encoding="utf-8"):
            raise AssertionError

    code, answer = answer_of(capsys, lambda: act(SPEC, refuse))
    assert code == 1
    assert [(fault["where"], fault["what"]) for fault in answer["faults"]] == [("/proc/nowhere/file", "No such file or directory")]
    assert "changed" not in answer


def test_a_module_that_reads_is_never_changed(capsys):
    assert answer_of(capsys, lambda: run_info(SPEC, lambda _params, _warn: {"rows": [1]}))[1] == {
        "changed": False,
        "rows": [1],
        "invocation": {"module_args": {"rows": None, "content": None, "site": None}},
    }
