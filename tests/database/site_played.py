# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to the site whose tables are on the server, and what is seen of it, part by part in the order of play.py."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import asked
from asked import be_nodes, files, places_of, plan_of
from box import Box
from converge import RECAP, environment, play
from facts import Fact
from processes import LabError, output_of
from runs import Stages
from server import AUTHORITY, PASSWORD_FILE, Server

HERE = Path(__file__).resolve().parent
INVENTORY = HERE / "inventory"
SITE, DEPLOY, SERVICE_NODES = "diskless.statelite.site", "diskless.statelite.deploy", "diskless.statelite.service_nodes"
PARAMETERS = f"sslmode=verify-full&sslrootcert={AUTHORITY}&passfile={PASSWORD_FILE}"
URL = f"postgresql://statelite@db1/site?{PARAMETERS}"
OTHER_URL = f"postgresql://statelite@db1/other?{PARAMETERS}"
STANDBY_URL = "postgresql://looker@/site?host=/run/postgresql"
IN_A_FILE = "/etc/statelite/site.db"
KEY = "/etc/statelite/ssh/id_ed25519.pub"
N1, N2 = "10.77.0.11", "10.77.0.12"
LISTS = "openssl\nopenssh-server\ndracut\ndracut-network\nlinux-image-tiny\n"
ROWS = [
    {"node": "n1", "groups": ["compute"], "mac": "52:54:00:77:00:11", "ip": N1},
    {"node": "n2", "groups": ["compute"], "mac": "52:54:00:77:00:12", "ip": N2, "noderes": {"servicenode": "10.77.0.2"}},
]
MORE_ROWS = [
    {"node": "n3", "groups": ["compute"], "mac": "52:54:00:77:00:13", "ip": "10.77.0.13"},
    {"node": "n4", "groups": ["compute"], "mac": "52:54:00:77:00:14", "ip": "10.77.0.14", "noderes": {"servicenode": "10.77.0.2"}},
]
ENTRIES = [{"image": "tiny", "file": "/etc/issue", "options": "tmpfs"}, {"image": "tiny", "file": "/var/kept/", "options": "persistent"}]
ONE_MORE = [*ENTRIES, {"image": "tiny", "file": "/etc/more", "options": "tmpfs"}]
DOWN = r"postgresql://statelite@db1/site: the site database can't be used: .*See whether the server runs"
FAILED = re.compile(r"TASK \[(?P<task>[^\]]*)\](?:(?!^TASK \[).)*?Task failed: Module failed: (?P<told>[^\n]*)", re.DOTALL | re.MULTILINE)
BOOT_FILES = "ls /tftpboot/pxelinux.cfg | grep --line-regexp 'n[0-9]*' | xargs"
DAEMONS = "systemctl is-active dnsmasq nfs-ganesha statelite-answer | sort | uniq --count | xargs; systemctl is-system-running || true"


class PlayedSite:
    """The site, its machines, and the parts of the play."""

    def __init__(self, stages: Stages, mn1: Box, sn1: Box, server: Server) -> None:
        self.stages, self.mn1, self.sn1, self.server = stages, mn1, sn1, server
        self.ran = 0
        self.variables: dict[str, object] = {}
        mn1.command("cat > /root/tiny.pkglist", script=LISTS)
        mn1.command("install -D --mode=644 /root/tiny.pkglist /install/custom/netboot/debian/tiny.pkglist")
        be_nodes([N1, N2], mn1)

    def saw(self, title: str, where: str, seen: str, wanted: str) -> None:
        """Note a fact."""
        self.stages.facts.append(Fact(title, where, seen, wanted))

    def plays(self, name: str, playbook: str = SITE, variables: Mapping[str, object] | None = None, *words: str) -> str:
        """Run a playbook; return what Ansible wrote."""
        self.ran += 1
        log = self.stages.logs / f"play-{self.ran:02d}-{name.replace(' ', '-')}.log"
        given = {**self.variables, **(variables or {}), "lab_service_node_ssh": " ".join(self.sn1.ssh_options())}
        with self.stages.progress.stage(name, log):
            return play(self.mn1, log, playbook, ["--extra-vars", json.dumps(given), *words], INVENTORY)

    def changes(self, name: str, playbook: str = SITE, variables: Mapping[str, object] | None = None, *words: str) -> int:
        """Run a playbook; return how many tasks changed something."""
        recaps = RECAP.findall(self.plays(name, playbook, variables, *words))
        if not recaps:
            raise LabError(f"{name}: it ran on no host")
        return sum(int(changed) for _host, _ok, changed, _unreachable, _failed in recaps)

    def module(self, host: str, name: str, **arguments: object) -> dict[str, object]:
        """Run one module of the collection on a machine; return its result."""
        program = str(Path(sys.executable).with_name("ansible"))
        given = json.dumps({"lab_service_node_ssh": " ".join(self.sn1.ssh_options())})
        command = [program, "--inventory", str(INVENTORY), "--extra-vars", given, host]
        command += ["--module-name", f"diskless.statelite.{name}", "--args", json.dumps(arguments)]
        text = output_of(command, log=self.stages.logs / "modules.log", limit=asked.LIMIT * 10, environment=environment(self.mn1))
        return dict(json.loads(text.partition(" => ")[2]))

    @contextmanager
    def untouched(self, title: str) -> Iterator[None]:
        """Note whether anything on the management node or in the database was made, changed or removed."""
        before, made = files(self.mn1), self.server.made
        yield
        differing = sorted(before ^ files(self.mn1))
        self.saw(f"{title}: files that came, went or changed", "mn1", "\n".join(differing), "")
        self.saw(f"{title}: schemas of a site that were made", "db1", f"{made} {self.server.made}", "0 0")

    def check_of_a_bare_machine(self) -> None:
        """There is no driver: what can be told is told, and why there is no more."""
        with self.untouched("a check of a bare machine"):
            text = self.plays("check of a bare machine", SITE, None, "--check")
        ends = "it says why it ends early" if "(python3-psycopg2) would be installed" in text else text[-2000:]
        self.saw("a check of a bare machine", "mn1", ends, "it says why it ends early")

    def driver_comes(self) -> None:
        """Install the ground alone."""
        self.changes("ground of the management node", SITE, None, "--tags", "management_node")

    def check_before_the_first_converge(self) -> None:
        """Everything is looked at."""
        with self.untouched("a check before the first converge"):
            text = self.plays("check before the first converge", SITE, None, "--check")
        whole = [task for task in ("Boot files", "Exports as the tables declare them", "Image") if f"TASK [{task}" in text]
        self.saw("a check before the first converge comes to", "mn1", ", ".join(whole), "Boot files.*")

    def nodes_are_declared(self) -> None:
        """Declare nodes by the module, as they are in no inventory; it makes the tables."""
        told = self.module("mn1", "node", site=URL, rows=ROWS)
        self.saw("the first module that writes makes the tables", "db1", f"{told['changed']} {self.server.made}", "True 1")

    def converges(self) -> None:
        """Converge twice."""
        self.changes("first converge")
        self.saw("an unchanged site, again: tasks that changed something", "mn1", str(self.changes("converge again")), "0")
        self.saw("daemons", "mn1", self.mn1.command(DAEMONS).strip(), "3 active\nrunning")
        self.saw("boot files of its own nodes", "mn1", self.mn1.command(BOOT_FILES).strip(), "n1")
        self.answers("it gives n1 its plan", self.mn1, N1)
        self.saw("where anybody could read the password", "mn1", places_of(self.server.password, self.mn1), "")

    def answers(self, title: str, server: Box, node: str) -> None:
        """Note whether a node gets its plan."""
        try:
            said = plan_of(server, node)
        except OSError as error:
            said = str(error)
        self.saw(title, server.name, "a plan" if "statelite-plan" in said else said, "a plan")

    def _run_that_waits(self, pool: ThreadPoolExecutor, name: str) -> Future[int]:
        run = pool.submit(self.changes, name, SITE, {"statelite_litefile": ONE_MORE})
        self.server.wait_for_waiting()
        return run

    def server_stops_during_a_run(self) -> None:
        """A module has begun to write when the server goes; nodes are answered all the while."""
        before, there = self.server.tables(), files(self.mn1)
        with ThreadPoolExecutor(1) as pool:
            with self.server.written_to():
                run = self._run_that_waits(pool, "the server stops during a run")
                seen = places_of(self.server.password, self.mn1)
                self.server.switch("stop")
            self.answers("while the server is down it gives n1 its plan", self.mn1, N1)
            fault = run.exception()
        text = "it ended without a fault" if fault is None else self.fault_of("the-server-stops-during-a-run")
        self.saw("a run whose server stops fails with what to do", "mn1", text, rf"What nodes may write: {DOWN}.*")
        self.saw("where anybody could read the password while a module runs", "mn1", seen, "")
        self.server.switch("start")
        self.saw("the tables after it", "db1", str(self.server.tables() == before), "True")
        self.saw("files after it that came, went or changed", "mn1", "\n".join(sorted(there ^ files(self.mn1))), "")

    def fault_of(self, name: str) -> str:
        """Return the task at which a run ended, and what was told."""
        (log,) = self.stages.logs.glob(f"play-*-{name}.log")
        found = FAILED.search(log.read_text(encoding="utf-8", errors="replace"))
        return f"{found['task']}: {found['told']}" if found else "no task failed"

    def server_is_started_anew_during_a_run(self) -> None:
        """The same run again; this time the server comes back at once. What the run declares stays declared."""
        with ThreadPoolExecutor(1) as pool:
            with self.server.written_to():
                run = self._run_that_waits(pool, "the server is started anew during a run")
                self.server.switch("restart")
            changed = run.result()
        self.variables["statelite_litefile"] = ONE_MORE
        rows = self.server.ask("SELECT count(*) FROM statelite.litefile WHERE file = '/etc/more'")
        self.saw("a run whose server is started anew goes on; the row is there", "mn1", f"{changed > 0} {rows}", "True 1")

    def service_node_reads_its_standby(self) -> None:
        """Make sn1 a standby and a service node."""
        with self.stages.progress.stage("sn1 becomes a standby", self.sn1.commands):
            self.server.follow(self.sn1)
            self.server.caught_up(self.sn1)
        public = self.mn1.command(f"cat {KEY}").strip()
        self.sn1.command(f"echo 'restrict {public}' >> /root/.ssh/authorized_keys")
        self.changes("service node", SERVICE_NODES)
        again = self.changes("service node again", SERVICE_NODES)
        self.saw("an unchanged service node, again: tasks that changed something", "sn1", str(again), "0")
        self.saw("boot files of its own nodes", "sn1", self.sn1.command(BOOT_FILES).strip(), "n2")
        log = "/var/log/postgresql/postgresql-15-main.log"
        count = self.sn1.command(f"grep --count 'connection authorized: user=looker' {log} || true").strip()
        self.saw("how often its modules read the standby", "sn1", count, r"[1-9]\d*")
        self.answers("it gives n2 its plan", self.sn1, N2)

    def another_machine_writes(self) -> None:
        """sn1 writes into the tables, on the primary; what nodes are given follows on both servers."""
        told = self.module("sn1", "node", site=URL, rows=MORE_ROWS)
        self.saw("a second machine writes", "sn1", str(told["changed"]), "True")
        self.server.caught_up(self.sn1)
        self.changes("deploy what another machine wrote", DEPLOY, {"statelite_noderange": "n3,n4"})
        served = [machine.command(BOOT_FILES).strip() for machine in (self.mn1, self.sn1)]
        self.saw("boot files of own nodes, each server", "both", "; ".join(served), "n1 n3; n2 n4")
        for machine in (self.mn1, self.sn1):
            published = json.loads(machine.command("cat /etc/statelite/published/site.json"))
            names = " ".join(row["node"] for row in published["tables"]["nodelist"])
            self.saw("nodes that are published", machine.name, names, "n1 n2 n3 n4")
        again = self.changes("converge what another machine wrote")
        self.saw("a converge after it: tasks that changed something", "mn1", str(again), "0")

    def primary_is_away(self) -> None:
        """What is on sn1 goes on with its standby."""
        self.server.switch("stop")
        try:
            told = self.module("sn1", "nodeset", site=STANDBY_URL, noderange="", own=True)
            self.saw("with the primary down, nodeset by the standby", "sn1", str(told["changed"]), "False")
            both = f"postgresql://looker@/site?host=db1,/run/postgresql&target_session_attrs=any&{PARAMETERS}"
            told = self.module("sn1", "site_snapshot", site=both)
            self.saw("with the primary down, site_snapshot by two hosts", "sn1", str(told["changed"]), "False")
            self.answers("with the primary down it gives n2 its plan", self.sn1, N2)
            there = files(self.sn1)
            try:
                fault = f"{self.changes('service node while the primary is away', SERVICE_NODES)} tasks changed something"
            except LabError:
                fault = self.fault_of("service-node-while-the-primary-is-away")
            self.saw("with the primary down a run of its playbook fails with what to do", "sn1", fault, rf".*: {DOWN}.*")
            self.saw("files after it that came, went or changed", "sn1", "\n".join(sorted(there ^ files(self.sn1))), "")
        finally:
            self.server.switch("start")

    def tables_move(self) -> None:
        """From the server into a file, and from there into another database; the site stays what it is."""
        self.server.ask("CREATE DATABASE other OWNER statelite ENCODING 'UTF8' TEMPLATE template0", "postgres")
        for of, to, name in ((URL, IN_A_FILE, "a file"), (IN_A_FILE, OTHER_URL, "another database")):
            self.changes(f"tables go into {name}", str(HERE / "migrate.yml"), {"of": of, "to": to, "through": f"/root/to {name}"})
            changed = self.changes(f"converge with {name}", SITE, {"statelite_site": to})
            self.saw(f"a site that went into {name}: tasks that changed something", "mn1", str(changed), "0")
        differing = self.mn1.command("diff --recursive --brief '/root/to a file' '/root/to another database' || true").strip()
        self.saw("what was taken out of either is alike, byte by byte", "mn1", differing, "")
        self.answers("it gives n1 its plan all the same", self.mn1, N1)

    def secret_is_nowhere(self) -> None:
        """Look for the password in all that Ansible wrote, and on both machines."""
        logs = [log.name for log in sorted(self.stages.logs.glob("play-*.log")) if self.server.password in log.read_text(errors="replace")]
        self.saw("logs of Ansible with the password", "-", " ".join(logs), "")
        for machine in (self.mn1, self.sn1):
            self.saw("at the end: where anybody could read the password", machine.name, places_of(self.server.password, machine), "")
