# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that knows Ansible: read, plan, apply and report for every module."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ansible.module_utils.basic import AnsibleModule

from .errors import SiteError
from .tables.address import echo_of

DIFF_LIMIT = 200
"""Changes shown in a diff before only their count is given (style.md, A module)."""


class Plan(Protocol):
    """What a verb decided: pure until `apply` is called."""

    def lines(self) -> list[str]:
        """Return one readable line a change, in order; empty when there is nothing to do."""

    def result(self) -> dict[str, Any]:
        """Return the module's own return values, the same in check mode and after apply."""

    def apply(self) -> list[str] | None:
        """Carry the changes out; called only when there are lines and not in check mode.

        Returns the lines of what was done when that is not what was planned, as somebody else came in between; else None.
        """


@runtime_checkable
class Remarking(Protocol):
    """A plan that has something to say of what it does not change."""

    def remarks(self) -> list[str]:
        """Return the lines that stand below the changes in a diff, each marked as no change."""


def diff_of(lines: list[str], remarks: Sequence[str] = ()) -> dict[str, str]:
    """Return Ansible's prepared diff: the first DIFF_LIMIT lines and the count of the rest; then remarks, which are no changes."""
    shown = list(lines[:DIFF_LIMIT])
    if len(lines) > DIFF_LIMIT:
        shown.append(f"... and {len(lines) - DIFF_LIMIT} more changes")
    shown.extend(f"# {remark}" for remark in remarks[:DIFF_LIMIT])
    if len(remarks) > DIFF_LIMIT:
        shown.append(f"# ... and {len(remarks) - DIFF_LIMIT} more remarks")
    return {"prepared": "".join(f"{line}\n" for line in shown)}


def invocation_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as they are echoed and logged: bulk rows and file content only as counts, a URL without what may be secret."""
    echoed: dict[str, Any] = {}
    for name, value in params.items():
        if name == "rows" and isinstance(value, list):
            echoed[name] = f"{len(value)} rows"
        elif name == "content" and isinstance(value, str):
            echoed[name] = f"{len(value)} characters"
        elif name == "site" and isinstance(value, str):
            echoed[name] = echo_of(value)
        else:
            echoed[name] = value
    return {"module_args": echoed}


def faults_of(error: SiteError) -> list[dict[str, str]]:
    """Return the faults of an error as a failed task returns them."""
    return [fault.told() for fault in error.faults]


def named(error: SiteError | OSError) -> SiteError:
    """Return the error with faults; what the operating system refused, and no room foresaw, names its path."""
    if isinstance(error, SiteError):
        return error
    where = error.filename if error.filename is not None else "this machine"
    place = os.fsdecode(where) if isinstance(where, bytes) else str(where)
    mend = "See whether it is there, who may use it and whether there is room, then run again: what was begun is finished"
    return SiteError.of(place, error.strerror or str(error), mend)


class SiteModule(AnsibleModule):
    """A module that writes to the machine's log what is echoed: Ansible would log every row, and a URL as it was given."""

    params: dict[str, Any]

    def _log_invocation(self) -> None:
        given, self.params = self.params, invocation_of(self.params)["module_args"]
        try:
            super()._log_invocation()
        finally:
            self.params = given


def run(argument_spec: dict[str, Any], read_and_plan: Callable[..., Plan], **module_options: Any) -> None:
    """Run one module: build the plan from its options, show it, carry it out, exit.

    `read_and_plan` takes the option dictionary and a `warn` function and returns a Plan.
    Every SiteError becomes one failed task that lists all faults, and so does what the operating system refuses.
    """
    module = SiteModule(argument_spec=argument_spec, supports_check_mode=True, **module_options)
    report: dict[str, Any] = {"invocation": invocation_of(module.params)}
    try:
        plan = read_and_plan(dict(module.params), module.warn)
        lines = plan.lines()
        remarks = plan.remarks() if lines and isinstance(plan, Remarking) else []
        report.update(changed=bool(lines), diff=diff_of(lines, remarks))
        if lines and not module.check_mode:
            done = plan.apply()
            if done is not None:
                report.update(changed=bool(done), diff=diff_of(done))
        report.update(plan.result())
    except (SiteError, OSError) as error:
        report.pop("changed", None)
        module.fail_json(msg=str(named(error)), faults=faults_of(named(error)), **report)
    module.exit_json(**report)


def run_info(argument_spec: dict[str, Any], read: Callable[..., dict[str, Any]], **module_options: Any) -> None:
    """Run one module that only reads; `read` takes the option dictionary and a `warn` function and returns the values."""
    module = SiteModule(argument_spec=argument_spec, supports_check_mode=True, **module_options)
    report: dict[str, Any] = {"invocation": invocation_of(module.params)}
    try:
        report.update(read(dict(module.params), module.warn))
    except (SiteError, OSError) as error:
        module.fail_json(msg=str(named(error)), faults=faults_of(named(error)), **report)
    module.exit_json(changed=False, **report)
