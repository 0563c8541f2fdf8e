"""A real api-server with the console in it, and records to look at."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from sqlalchemy import select

from lab import airflow
from mailcare.contracts.forms import ContractForm, CustomerForm, read_form
from mailcare.contracts.steps import enter_contract, enter_customer
from mailcare.records.customers import System
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import engine_for, transaction
from mailcare.staff.steps import Role, grant_role
from mailcare.systems import steps as systems
from mailcare.tasks import CUSTOMER_HOSTS
from tests.contracts.desk import predate_contracts

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "lab" / "site.yaml"
SITE_NAME = "shili-bank-lab"
AIRFLOW = str(Path(sys.executable).parent / "airflow")
START_WITHIN_S = 120
# Airflow's own users and roles; whoever has a business role is named after it.
USERS = {
    "boss": "admin",
    "colleague": "user",
    "engineer": "user",
    "auditor": "user",
    "stranger": "user",
    "viewer": "viewer",
}
ROLES = {
    "boss": Role.MANAGER,
    "colleague": Role.MANAGER,
    "engineer": Role.ENGINEER,
    "auditor": Role.AUDITOR,
    "viewer": Role.MANAGER,
}
# `airflow users create` takes ten seconds a user, nearly all of them to start.
ADD_USERS = """
import json, sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    manager = builder.sm
    for login, role, password in json.loads(sys.argv[1]):
        mail = f"{login}@vendor.example"
        assert manager.add_user(login, login, login, mail, manager.find_role(role), password)
"""
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
PDF = b"%PDF-1.7\n% a paper\n"


@dataclass(frozen=True)
class Server:
    """A running api-server, and everybody's password."""

    url: str
    password: str

    def token(self, login: str) -> str:
        asked = {"username": login, "password": self.password}
        answer = httpx.post(f"{self.url}/auth/token", json=asked, timeout=30)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def ask(self, login: str, method: str, path: str, body: object = None) -> httpx.Response:
        """Ask Airflow's REST API something as one of the staff."""
        headers = {"Authorization": f"Bearer {self.token(login)}"}
        url = f"{self.url}/api/v2/{path}"
        return httpx.request(method, url, json=body, headers=headers, timeout=60)


@dataclass(frozen=True)
class Standalone(Server):
    """A whole Airflow, whose scheduler may be killed."""

    process: subprocess.Popen[bytes]
    settings: Mapping[str, str]
    opened: ExitStack
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)  # in place of killed ones

    def kill_scheduler(self) -> None:
        """Kill the scheduler and every task that it runs, and start another one."""
        killed = self._scheduler()
        for one in (killed, *killed.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # it has ended by itself
                one.kill()
        log = Path(self.settings["AIRFLOW_HOME"], "scheduler.log")
        # Tasks of a scheduler that is silent for so long are taken over; usually half a minute.
        taken_over = {
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
        }
        command = [AIRFLOW, "scheduler"]
        again = airflow.running(command, {**self.settings, **taken_over}, log=log)
        self.started.append(self.opened.enter_context(again))

    def _scheduler(self) -> psutil.Process:
        """Return the one that standalone started, or the last one after it."""
        if self.started:
            return psutil.Process(self.started[-1].pid)
        parts = psutil.Process(self.process.pid).children()
        [first] = [one for one in parts if "scheduler" in " ".join(one.cmdline())]
        return first


def fill() -> None:
    """Write roles, a customer with a system and a paper into the operator's database."""
    for login, role in ROLES.items():
        grant_role(login, role, by="test")
    systems.import_site(SITE, recorded_by="test")
    add_paper()


def add_contract() -> None:
    """Enter a second customer, and a contract for the first."""
    contacts = [{"name": "赵示例", "email": "zhao@other.example"}]
    enter_customer(read_form(CustomerForm, {"name": "另一客户", "contacts": contacts}), by="test")
    form = {
        "number": "HT-2026-001",
        "customer": "示例银行",
        "starts_on": "2026-01-01",
        "ends_on": "2027-12-31",
        "systems": [SITE_NAME],
        "visits_per_year": 1,
    }
    enter_contract(read_form(ContractForm, form), by="test")
    predate_contracts()


def add_paper(
    *, body: bytes = PDF, sha256: str | None = None, number: str = "XJ-2026-00001"
) -> int:
    with transaction() as session:
        system = session.scalars(select(System).where(System.site == SITE_NAME)).one()
        file = PaperFile(
            kind=FileKind.PDF,
            sha256=sha256 or hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            body=body,
        )
        paper = Paper(
            customer_id=system.customer_id,
            system_id=system.id,
            number=number,
            version=1,
            template="inspection/report.html",
            template_version="1",
            content={},
            fingerprint=number,
            files=[file],
        )
        session.add(paper)
        session.flush()
        return paper.id


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@contextmanager
def api_server(home: Path, database_url: str) -> Iterator[Server]:
    """Start Airflow's api-server alone, with the plugin and `USERS`, and end it."""
    password = airflow.new_password()
    settings = airflow.environment(home, ROOT, host="127.0.0.1", password=password)
    (home / "passwords.json").write_text(json.dumps(dict.fromkeys(USERS, password)))
    users = ",".join(map(":".join, USERS.items()))
    settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = users
    with _started(home, settings, database_url) as url:
        yield Server(url, password)


def prepare(folder: Path) -> None:
    """Record the lab's system without any authorisation, and everybody's role."""
    text = SITE.read_text("utf-8").partition("\nauthorisations:")[0]
    (folder / "site.yaml").write_text(text, "utf-8")
    systems.import_site(folder / "site.yaml", recorded_by="test")
    for login, role in ROLES.items():
        grant_role(login, role, by="test")


@contextmanager
def standalone(home: Path, database_url: str, relay_url: str) -> Iterator[Standalone]:
    """Start a whole Airflow with scheduler, plugin and `USERS`, on ports of its own, and end it."""
    password = airflow.new_password()
    settings = airflow.environment(home, ROOT, host="127.0.0.1", password=password)
    (home / "passwords.json").write_text(json.dumps(dict.fromkeys(USERS, password)))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings |= {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(map(":".join, USERS.items())),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "MAILCARE_DB_URL": database_url,
        "MAILCARE_RELAY_URL": relay_url,
        "MAILCARE_SENDER": "service@vendor.example",
        "MAILCARE_VENDOR": "示例邮件维保公司",
    }
    log = home / "airflow.log"
    with ExitStack() as opened:
        process = opened.enter_context(airflow.running([AIRFLOW, "standalone"], settings, log=log))
        told = list(airflow.wait_until_healthy(process, url, log=log))
        assert told, "Airflow said how far it is"
        server = Standalone(url, password, process, settings, opened)
        pool = {"name": CUSTOMER_HOSTS, "slots": 8}  # as production's set-up makes it
        server.ask("boss", "POST", "pools", pool).raise_for_status()
        yield server


@contextmanager
def fab_api_server(home: Path, database_url: str, users: Mapping[str, str]) -> Iterator[Server]:
    """Start an api-server with production's auth manager; `users` are logins and their roles."""
    password = airflow.new_password()
    settings = airflow.environment(home, ROOT, host="127.0.0.1", password=password)
    settings["AIRFLOW__CORE__AUTH_MANAGER"] = FAB
    with _started(home, settings, database_url, before=[_users(users, password)]) as url:
        yield Server(url, password)


def _users(users: Mapping[str, str], password: str) -> list[str]:
    told = [(login, role, password) for login, role in users.items()]
    return [sys.executable, "-c", ADD_USERS, json.dumps(told)]


@contextmanager
def _started(
    home: Path,
    settings: Mapping[str, str],
    database_url: str,
    *,
    before: Sequence[Sequence[str]] = (),
) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    own = {
        "AIRFLOW__API__PORT": url.rpartition(":")[2],
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "MAILCARE_DB_URL": database_url,
        "MAILCARE_HOME": str(home / "mailcare"),
    }
    variables = {**settings, **own}
    for words in ([AIRFLOW, "db", "migrate"], *before):
        subprocess.run(words, env=variables, check=True, capture_output=True, cwd=home)
    log = home / "api-server.log"
    with airflow.running([AIRFLOW, "api-server"], variables, log=log) as process:
        _wait(process, url, log)
        yield url


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8")[-3000:]
        try:
            if httpx.get(f"{url}/api/v2/version", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.3)
    raise AssertionError(log.read_text("utf-8")[-3000:])


@contextmanager
def using(database_url: str) -> Iterator[None]:
    """Let the steps of this process work on a database."""
    before = os.environ.get("MAILCARE_DB_URL")
    os.environ["MAILCARE_DB_URL"] = database_url
    try:
        yield
    finally:
        engine_for(database_url).dispose()
        if before is None:
            del os.environ["MAILCARE_DB_URL"]
        else:
            os.environ["MAILCARE_DB_URL"] = before
