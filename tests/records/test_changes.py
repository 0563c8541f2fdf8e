from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import Engine, select

from mailcare.records.changes import add_once, change_all, move, revoke
from mailcare.records.customers import Authorisation, Customer, System
from mailcare.records.inspections import Service, ServiceState
from mailcare.records.session import engine_for, reading, transaction
from tests.records.rows import NOW, add_authorisation, add_service, add_system

LATER = NOW + timedelta(minutes=5)


def test_a_service_moves_on_from_the_expected_state_only(engine: Engine) -> None:
    with transaction(engine) as session:
        service = add_service(session)

    assert _start(engine, service) is True
    assert _start(engine, service) is False
    with reading(engine) as session:
        row = session.get_one(Service, service)
        assert (row.state, row.state_changed_at) == (ServiceState.RUNNING, LATER)


def test_an_unknown_row_does_not_move(engine: Engine) -> None:
    assert _start(engine, 4711) is False


def test_a_row_already_in_the_session_shows_its_new_state(engine: Engine) -> None:
    with transaction(engine) as session:
        service = session.get_one(Service, add_service(session))
        assert move(
            session, Service, service.id,
            from_state=ServiceState.PLANNED, to_state=ServiceState.DONE, at=LATER,
        )  # fmt: skip
        assert service.state is ServiceState.DONE


def test_rows_change_in_the_columns_that_are_given_and_in_no_other(engine: Engine) -> None:
    with transaction(engine) as session:
        for site in ("a", "b", "c"):
            add_system(session, site=site)
        changes = [
            {"site": "a", "title": "新"},
            {"site": "c", "title": "新", "profile": "turbomail"},
        ]
        change_all(session, System, changes, key=("site",))
        change_all(session, System, [], key=("site",))

    with reading(engine) as session:
        rows = session.execute(select(System.site, System.title, System.profile))
        found = {site: (title, profile) for site, title, profile in rows}
    title, profile = found["b"]
    assert title != "新"
    assert found == {"a": ("新", profile), "b": (title, profile), "c": ("新", "turbomail")}


def test_of_many_at_once_exactly_one_moves_a_row(database_url: str, engine: Engine) -> None:
    with transaction(engine) as session:
        service = add_service(session)
    patient = engine_for(database_url, busy_timeout_s=30)

    with ThreadPoolExecutor(8) as threads:
        moved = list(threads.map(lambda _: _start(patient, service), range(16)))
    patient.dispose()

    assert sorted(moved) == [False] * 15 + [True]


def test_of_many_at_once_exactly_one_adds_a_row(database_url: str, engine: Engine) -> None:
    patient = engine_for(database_url, busy_timeout_s=30)

    def add(_: int) -> int | None:
        with transaction(patient) as session:
            return add_once(session, Customer, {"name": "示例银行"})

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(add, range(16)))
    patient.dispose()

    with reading(engine) as session:
        identity = session.scalars(select(Customer.id)).one()
    assert [one for one in added if one is not None] == [identity]


def test_an_authorisation_is_revoked_once_and_keeps_who_and_when(engine: Engine) -> None:
    with transaction(engine) as session:
        identity = add_authorisation(session)

    with transaction(engine) as session:
        assert revoke(session, identity, by="王工", at=LATER)
    with transaction(engine) as session:
        assert not revoke(session, identity, by="李工", at=LATER + timedelta(days=1))

    with reading(engine) as session:
        row = session.get_one(Authorisation, identity)
        assert (row.revoked_by, row.revoked_at) == ("王工", LATER)


def _start(engine: Engine, service: int) -> bool:
    with transaction(engine) as session:
        return move(
            session, Service, service,
            from_state=ServiceState.PLANNED, to_state=ServiceState.RUNNING, at=LATER,
        )  # fmt: skip
