"""Where the product keeps its data and how it reaches the world, from the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from mailcare.errors import InputError


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's choices.

    `database_url` is an SQLAlchemy URL of the product's own database. `relay_url` is the vendor's
    own mail relay, `smtp://[login:password@]host[:port]`; empty where none is set up. `vendor` and
    `feedback_address` are printed on papers. `public_url` is where customers reach this Airflow,
    for the links in letters; empty where they cannot. `inbox_url` is the mailbox that customers
    write to, `imaps://login:password@host/FOLDER`; empty where there is none.
    """

    database_url: str
    relay_url: str
    sender: str
    vendor: str
    feedback_address: str
    public_url: str = ""
    inbox_url: str = field(default="", repr=False)


def read_settings() -> Settings:
    """Read the environment; see `.env.example` for every name."""
    return Settings(
        database_url=_database_url(),
        relay_url=os.environ.get("MAILCARE_RELAY_URL", ""),
        sender=os.environ.get("MAILCARE_SENDER", "mailcare@localhost"),
        vendor=os.environ.get("MAILCARE_VENDOR", ""),
        feedback_address=os.environ.get("MAILCARE_FEEDBACK_ADDRESS", ""),
        public_url=os.environ.get("MAILCARE_PUBLIC_URL", ""),
        inbox_url=_named("MAILCARE_INBOX_URL", "AIRFLOW_CONN_MAILCARE_INBOX"),
    )


def has_database() -> bool:
    """Tell whether the operator named a database, or the default one has been made."""
    return bool(_named_url()) or _default_file().exists()


def _named_url() -> str:
    return _named("MAILCARE_DB_URL", "AIRFLOW_CONN_MAILCARE_DB")


def _named(variable: str, connection: str) -> str:
    return os.environ.get(variable) or os.environ.get(connection) or ""


def data_folder() -> Path:
    """Return the folder that the product keeps its own files in."""
    return Path(os.environ.get("MAILCARE_HOME", "~/.mailcare")).expanduser()


def _default_file() -> Path:
    return data_folder() / "mailcare.db"


def _database_url() -> str:
    url = _named_url()
    if not url:
        return f"sqlite:///{_default_file()}"
    if url.startswith("{"):
        raise InputError("连接 mailcare_db 请用 URL 形式填写", subject="AIRFLOW_CONN_MAILCARE_DB")
    # Airflow writes the scheme of a connection type; SQLAlchemy knows it by its proper name.
    return url.replace("postgres://", "postgresql://", 1)
