"""The demonstration: Airflow inspects the lab's mail system, and the Chinese report comes out.

`make demo` leaves Airflow's pages at http://127.0.0.1:8080 until Ctrl-C; `--once` ends by itself.
Where the lab cannot run (no root, no Debian), the same Dag judges a recorded bundle of replies.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lab import airflow, lifecycle
from lab.errors import LabError
from lab.forwarding import forward, keep_mail
from lab.topology import CORE_ADDRESS, find_host
from mailcare.errors import MailcareError
from mailcare.inspection import steps as inspection_steps
from mailcare.papers.steps import inspection_number, write_paper
from mailcare.records.schema import upgrade
from mailcare.staff.steps import Role, grant_role
from mailcare.systems import steps as system_steps

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "var" / "demo"
SITE = ROOT / "lab" / "site.yaml"
RECORDED = ROOT / "lab" / "recorded.jsonl"
SITE_NAME = "shili-bank-lab"
DAG = "inspect_system"
URL = f"http://127.0.0.1:{airflow.PORT}"
MAIL_PORT = 2525
REFUSED = 2


def main() -> int:
    """Run the demonstration; return 0 when the inspection ended well."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the report")
    options = parser.parse_args()
    _become_root()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _demonstrate(stay=not options.once)
    except KeyboardInterrupt:
        _say("stopped")
        return 0 if not options.once else 130
    except (LabError, MailcareError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return REFUSED


def _become_root() -> None:
    """Start again under sudo where that needs no password; else go on as who we are."""
    if os.geteuid() == 0 or not shutil.which("sudo"):
        return
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        os.execvp("sudo", ["sudo", "-n", sys.executable, "-m", "lab.demo", *sys.argv[1:]])


def _demonstrate(*, stay: bool) -> int:
    _refuse_taken_port()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    on_lab = _lab_can_run()
    with ExitStack() as stack:
        stack.enter_context(_lab() if on_lab else _recorded())
        variables = _prepare(on_lab=on_lab)
        server = stack.enter_context(_airflow(variables, on_lab=on_lab))
        good = _inspect(server, {} if on_lab else {"bundle": str(RECORDED)})
        _say(f"Airflow: {URL}   login: {airflow.LOGIN}   password: {server.password}")
        if stay:
            _say("Ctrl-C takes everything down.")
            signal.pause()
    return 0 if good else 1


def _lab_can_run() -> bool:
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ip", "named", "postfix"))


@contextmanager
def _lab() -> Iterator[None]:
    stood = lifecycle.status().is_up
    _say("bringing the lab up: a real mail system in network namespaces …")
    lifecycle.up()
    try:
        with forward(airflow.PORT, CORE_ADDRESS):
            yield
    finally:
        if not stood:  # whoever brought it up before takes it down
            _say("taking the lab down …")
            lifecycle.down()


@contextmanager
def _recorded() -> Iterator[None]:
    _say(
        "The lab needs root on Debian or Ubuntu: the same Dag now judges a RECORDED bundle of "
        f"replies ({RECORDED.name}); no host is asked. / 无法启动实验环境，改用录制的回复。"
    )
    with keep_mail(MAIL_PORT, HOME / "mail"):
        yield


def _prepare(*, on_lab: bool) -> dict[str, str]:
    relay = f"smtp://{find_host('out1').address}:25" if on_lab else f"smtp://127.0.0.1:{MAIL_PORT}"
    own = {
        "MAILCARE_DB_URL": f"sqlite:///{HOME / 'mailcare.db'}",
        "MAILCARE_RELAY_URL": relay,
        "MAILCARE_SENDER": "service@vendor.example",
        "MAILCARE_VENDOR": "示例邮件维保公司",
    }
    os.environ.update(own)
    upgrade(own["MAILCARE_DB_URL"])
    _say(system_steps.import_site(SITE, recorded_by="demo"))
    grant_role(airflow.LOGIN, Role.MANAGER, by="demo")
    return own


@contextmanager
def _airflow(own: Mapping[str, str], *, on_lab: bool) -> Iterator[airflow.Airflow]:
    home, log = HOME / "airflow", HOME / "airflow.log"
    home.mkdir()
    password = airflow.new_password()
    host = CORE_ADDRESS if on_lab else "127.0.0.1"
    variables = airflow.environment(home, ROOT, host=host, password=password) | dict(own)
    _say("starting Airflow (about a minute) …")
    with airflow.running(_standalone(on_lab=on_lab), variables, log=log) as process:
        for healthy in airflow.wait_until_healthy(process, URL, log=log):
            _say(f"  {healthy}")
        yield airflow.log_in(URL, password)
        _say("stopping Airflow …")


def _standalone(*, on_lab: bool) -> Sequence[str]:
    program = [str(Path(sys.executable).parent / "airflow"), "standalone"]
    return [sys.executable, "-m", "lab", "exec", "core", "--", *program] if on_lab else program


def _inspect(server: airflow.Airflow, conf: Mapping[str, object]) -> bool:
    server.post("pools", {"name": "customer_hosts", "slots": 8})
    run = f"demo__{datetime.now(UTC):%Y%m%dT%H%M%S}"
    _say(f"triggering {DAG} for {SITE_NAME} through the REST API …")
    airflow.trigger(server, DAG, run, {"site": SITE_NAME, **conf})
    for line in airflow.follow(server, DAG, run):
        _say(f"  {line}")
    state = airflow.run_state(server, DAG, run)
    inspection = int(str(airflow.returned(server, DAG, run, "plan")))
    _say(inspection_steps.recorded_table(inspection))
    number = inspection_number(inspection)
    _say(f"run {state}; report: {write_paper(number, HOME / f'{number}.pdf')}")
    return state == "success"


def _refuse_taken_port() -> None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", airflow.PORT))
        except OSError:
            raise LabError(f"port {airflow.PORT} of this machine is taken") from None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
