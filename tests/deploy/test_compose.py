"""The production files, as far as they can be held to their word without a Docker engine."""

import json
import re
import runpy
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet
from jsonschema import Draft201909Validator

from tests.conftest import ROOT
from tests.surroundings import without

COMPOSE_SPEC = Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
AIRFLOW_SERVICES = ["init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"]
LASTING_SERVICES = sorted(set(SERVICES) - {"init"})
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")

VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
REQUIRED = sorted({name for name, kind, _ in VARIABLE.findall(TEXT) if kind == "?"})
OPTIONAL = {name: default for name, kind, default in VARIABLE.findall(TEXT) if kind == "-"}


def read_env(path: Path) -> dict[str, str]:
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def write_env(path: Path, values: dict[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), "utf-8")
    return path


EXAMPLE = read_env(ROOT / ".env.example")
SECRETS = sorted(set(REQUIRED) & {name for name, value in EXAMPLE.items() if not value})


@pytest.fixture(scope="module")
def env_file(tmp_path_factory):
    target = tmp_path_factory.mktemp("deploy") / "env"
    made = run_new_env(target)
    assert made.returncode == 0, made.stderr
    return target


def run_new_env(target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "deploy/new-env", target], capture_output=True, text=True, check=False
    )


def compose_config(env_file: Path) -> subprocess.CompletedProcess[str]:
    """Resolve the compose file with this env file and nothing of our own environment."""
    program = shutil.which("docker-compose")
    if program is None:
        without("docker-compose")
    return subprocess.run(
        [program, "--env-file", env_file, "config"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(env_file.parent), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_new_env_fills_every_secret_with_its_own_value(env_file):
    values = read_env(env_file)
    assert len(SECRETS) == 8
    assert list(values) == list(EXAMPLE)
    assert len({values[name] for name in SECRETS}) == len(SECRETS)
    assert all(len(values[name]) >= 24 for name in SECRETS)
    assert {name: values[name] for name in EXAMPLE if name not in SECRETS} == {
        name: value for name, value in EXAMPLE.items() if name not in SECRETS
    }


def test_new_env_keeps_its_secrets_readable_by_the_owner_alone(env_file):
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_new_env_never_overwrites_the_secrets_of_an_installation(env_file):
    before = env_file.read_bytes()
    assert run_new_env(env_file).returncode != 0
    assert env_file.read_bytes() == before


def test_the_generated_fernet_key_encrypts(env_file):
    key = Fernet(read_env(env_file)["AIRFLOW_FERNET_KEY"])
    assert key.decrypt(key.encrypt(b"login")) == b"login"


def test_generated_passwords_can_stand_in_a_url(env_file):
    values = read_env(env_file)
    passwords = [values[name] for name in SECRETS if name.endswith("PASSWORD")]
    assert len(passwords) == 5
    assert all(password.isalnum() for password in passwords)


def test_the_example_documents_exactly_what_the_compose_file_reads():
    used_by_compose_itself = {"COMPOSE_PROJECT_NAME"}
    assert set(EXAMPLE) - used_by_compose_itself == set(REQUIRED) | set(OPTIONAL)


def test_a_default_is_the_same_in_the_example_and_in_the_compose_file():
    assert OPTIONAL
    assert {name: EXAMPLE[name] for name in OPTIONAL} == OPTIONAL


def test_compose_accepts_the_file_with_a_new_env(env_file):
    config = compose_config(env_file)
    assert config.returncode == 0, config.stderr
    resolved = yaml.safe_load(config.stdout)["services"]
    assert set(resolved) == set(SERVICES)
    password = read_env(env_file)["AIRFLOW_DB_PASSWORD"]
    for service in AIRFLOW_SERVICES:
        url = resolved[service]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert url == f"postgresql+psycopg2://airflow:{password}@postgres:5432/airflow"


@pytest.mark.parametrize("name", REQUIRED)
def test_compose_names_a_value_that_is_missing(name, env_file, tmp_path):
    values = read_env(env_file)
    del values[name]
    config = compose_config(write_env(tmp_path / "env", values))
    assert config.returncode != 0
    assert config.stderr.strip().endswith(f"{name} is missing, see .env.example")


def test_compose_does_not_take_an_empty_secret(env_file, tmp_path):
    values = read_env(env_file) | {"REDIS_PASSWORD": ""}
    config = compose_config(write_env(tmp_path / "env", values))
    assert "REDIS_PASSWORD is missing" in config.stderr


def test_the_file_follows_the_compose_specification():
    if not COMPOSE_SPEC.exists():
        without(f"{COMPOSE_SPEC} of Debian's docker-compose")
    validator = Draft201909Validator(json.loads(COMPOSE_SPEC.read_text("utf-8")))
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    assert list(validator.iter_errors({"services": {"worker": {"imag": "typo"}}}))


@pytest.mark.parametrize("service", LASTING_SERVICES)
def test_every_lasting_service_restarts_and_says_how_it_is(service):
    assert SERVICES[service]["restart"] == "unless-stopped"
    check = SERVICES[service]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_init_runs_once():
    assert SERVICES["init"]["restart"] == "no"
    assert "healthcheck" not in SERVICES["init"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_waits_for_what_it_needs_to_be_ready(service):
    needs = SERVICES[service].get("depends_on", {})
    assert bool(needs) == (service in AIRFLOW_SERVICES)
    for needed, how in needs.items():
        ready = "service_completed_successfully" if needed == "init" else "service_healthy"
        assert how == {"condition": ready}


@pytest.mark.parametrize("service", AIRFLOW_SERVICES)
def test_every_airflow_service_shares_the_image_and_the_settings(service):
    shared = COMPOSE["x-airflow-env"]
    assert SERVICES[service]["image"] == SERVICES["init"]["image"]
    assert shared.items() <= SERVICES[service]["environment"].items()


@pytest.mark.parametrize("service", SERVICES)
def test_no_log_grows_without_bound(service):
    options = SERVICES[service]["logging"]["options"]
    assert set(options) == {"max-size", "max-file"}


def test_only_the_web_port_is_published_and_by_default_to_this_machine_alone():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"api-server": ["${MAILCARE_BIND:-127.0.0.1}:${MAILCARE_PORT:-8080}:8080"]}


def test_a_stopped_worker_gets_time_to_finish_its_tasks():
    worker = SERVICES["worker"]
    assert worker["environment"]["DUMB_INIT_SETSID"] == "0"
    assert worker["stop_grace_period"] == "15m"


def test_the_product_has_its_own_database_and_its_own_role():
    shared = COMPOSE["x-airflow-env"]
    own = shared["MAILCARE_DB_URL"]
    assert own.split("://")[1] == shared["AIRFLOW_CONN_MAILCARE_DB"].split("://")[1]
    assert own.endswith("@postgres:5432/mailcare")
    assert shared["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@postgres:5432/airflow")
    assert "MAILCARE_DB_PASSWORD" not in shared["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_no_secret_stands_in_the_file():
    values = {
        (service, name): str(value)
        for service, body in SERVICES.items()
        for name, value in body.get("environment", {}).items()
    }
    named = [key for key in values if re.search(r"(PASSWORD|SECRET|FERNET|SECRET_KEY)", key[1])]
    in_urls = {key: re.findall(r"://[^/@]*?:([^/]*)@", value) for key, value in values.items()}
    assert len(named) > 20
    assert any(in_urls.values())
    secrets = [values[key] for key in named] + [
        text for found in in_urls.values() for text in found
    ]
    for secret in secrets:
        variable = VARIABLE.fullmatch(secret)
        assert variable, secret
        assert variable[1] in SECRETS


def airflow_options() -> set[tuple[str, str]]:
    """Read every option of Airflow and of its providers from their own files, without a start."""
    spec = find_spec("airflow")
    assert spec is not None
    home = Path(next(iter(spec.submodule_search_locations or [])))
    sections = yaml.safe_load((home / "config_templates/config.yml").read_text("utf-8"))
    options = {(section, name) for section in sections for name in sections[section]["options"]}
    for path in home.glob("providers/**/get_provider_info.py"):
        info = runpy.run_path(str(path))["get_provider_info"]()
        for section, body in info.get("config", {}).items():
            options |= {(section, name) for name in body["options"]}
    return options


def test_every_airflow_setting_exists_in_this_version_of_airflow():
    known = airflow_options()
    assert ("core", "executor") in known
    assert ("celery", "broker_url") in known
    names = [name for name in COMPOSE["x-airflow-env"] if name.startswith("AIRFLOW__")]
    assert len(names) > 15
    unknown = [
        name
        for name in names
        if tuple(name.lower().removeprefix("airflow__").split("__")) not in known
    ]
    assert unknown == []


def test_the_image_has_the_airflow_that_is_locked():
    locked = re.search(
        r"^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    image = re.search(
        r"^FROM \S+/apache/airflow:slim-([\d.]+)-python3\.12$", DOCKERFILE, re.MULTILINE
    )
    assert locked
    assert image
    assert image[1] == locked[1]


def test_the_image_runs_as_an_ordinary_user():
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "airflow"


def test_the_image_draws_papers_and_opens_backups_with_the_packages_that_are_tested():
    listed = (ROOT / "setup/debian-packages.txt").read_text("utf-8").split()
    installed = re.findall(r"apt-get install ([^&]*)&&", DOCKERFILE)
    packages = {word for word in installed[0].split() if not word.startswith("-")}
    assert {"libpango-1.0-0", "fonts-noto-cjk", "fonts-dejavu-core"} <= packages
    assert {"restic", "borgbackup"} <= packages
    assert {"dovecot-imapd", "mariadb-server", "postgresql"} <= packages
    assert packages <= set(listed)


def test_the_build_sends_what_the_image_copies_and_nothing_else():
    copies = re.findall(r"^COPY (?:--\S+ )*(.*) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in copies for name in line.split()}
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


FAKE_AIRFLOW = """#!/bin/sh
echo "airflow $*" >>"$LOG"
case "$1 $2" in
    "$FAILING") exit 1 ;;
    "users create") read -r first; read -r again; echo "typed $first $again" >>"$LOG" ;;
esac
"""


@pytest.fixture
def run_init(tmp_path):
    """Run deploy/init.sh with programs that only note what they are asked."""

    def run(*, failing: str = "") -> tuple[int, list[str]]:
        programs = {"airflow": FAKE_AIRFLOW, "mailcare": '#!/bin/sh\necho "mailcare $*" >>"$LOG"\n'}
        for name, text in programs.items():
            (tmp_path / name).write_text(text, "utf-8")
            (tmp_path / name).chmod(0o755)
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        ended = subprocess.run(
            ["bash", ROOT / "deploy/init.sh"],
            env={
                "PATH": f"{tmp_path}:/usr/bin:/bin",
                "LOG": str(log),
                "FAILING": failing,
                "ADMIN_USER": "chief",
                "ADMIN_EMAIL": "chief@vendor.example",
                "ADMIN_PASSWORD": "correct-horse",
            },
            check=False,
        )
        return ended.returncode, log.read_text("utf-8").splitlines()

    return run


def test_init_prepares_both_databases(run_init):
    code, asked = run_init()
    assert code == 0
    assert asked[0] == "airflow db migrate"
    assert asked[-1] == "mailcare db upgrade"


def test_init_keeps_the_administrators_password_out_of_the_process_list(run_init):
    _, asked = run_init()
    assert "typed correct-horse correct-horse" in asked
    commands = [line for line in asked if line.startswith("airflow users create")]
    assert len(commands) == 1
    assert "--username chief" in commands[0]
    assert "correct-horse" not in commands[0]


def test_init_makes_the_pool_that_the_tasks_ask_for(run_init):
    tasks = (ROOT / "include/mailcare/tasks.py").read_text("utf-8")
    pool = re.search(r'^CUSTOMER_HOSTS = "(\w+)"', tasks, re.MULTILINE)
    assert pool
    _, asked = run_init(failing="pools get")
    assert any(line.startswith(f"airflow pools set {pool[1]} 8 ") for line in asked)


def test_init_leaves_a_pool_that_an_operator_resized(run_init):
    _, asked = run_init()
    assert not any(line.startswith("airflow pools set") for line in asked)


@pytest.mark.parametrize("failing", ["db migrate", "users create"])
def test_init_stops_at_the_first_failure(run_init, failing):
    code, asked = run_init(failing=failing)
    assert code != 0
    assert asked[-1].startswith(f"airflow {failing}")
