"""Letters that were written down before the outbox keep everything, and get their text."""

from sqlalchemy import Engine, text

from mailcare.records.deliveries import Delivery
from mailcare.records.schema import downgrade, upgrade
from mailcare.records.session import engine_for, reading, transaction

BEFORE, OUTBOX = "0007", "0008"
MOMENT = "2026-03-02 01:30:00+00:00"
ROWS = (
    "INSERT INTO customers (id, name) VALUES (1, '示例银行')",
    "INSERT INTO systems (id, customer_id, site, title, profile, definition)"
    " VALUES (1, 1, 's', '总行', 'generic', '{}')",
    "INSERT INTO papers (id, system_id, number, version, template, template_version, content,"
    " fingerprint) VALUES (1, 1, 'XJ-2026-00001', 2, 't', '1', '{}', 'f')",
    "INSERT INTO paper_files (id, paper_id, kind, sha256, size_bytes, body)"
    " VALUES (1, 1, 'pdf', 'x', 1, 'x')",
    "INSERT INTO deliveries (id, paper_id, key, channel, recipient, message_id, state,"
    f" state_changed_at, attempts) VALUES (1, 1, 'k', 'smtp', 'a@b.example', '<m@v>', 'pending',"
    f" '{MOMENT}', 3)",
    "INSERT INTO delivery_events (id, delivery_id, at, state, detail)"
    f" VALUES (1, 1, '{MOMENT}', 'pending', '已登记')",
)


def test_an_old_letter_survives_the_way_up_and_down(empty_database_url: str) -> None:
    upgrade(empty_database_url, BEFORE)
    engine = engine_for(empty_database_url)
    with transaction(engine) as session:
        for row in ROWS:
            session.execute(text(row))
    upgrade(empty_database_url, OUTBOX)
    with reading(engine) as session:
        letter = session.query(Delivery).one()
        assert (letter.subject, letter.customer_id) == ("【巡检报告】XJ-2026-00001", 1)
        assert "查收" in letter.body
        assert letter.next_attempt_at == letter.created_at
        [enclosure] = letter.enclosures
        assert (enclosure.name, enclosure.paper_file_id) == ("巡检报告-XJ-2026-00001-v2.pdf", 1)
    downgrade(empty_database_url, BEFORE)
    assert _old(engine) == [("k", "<m@v>", "pending", 3)]
    engine.dispose()


def _old(engine: Engine) -> list[tuple[object, ...]]:
    with reading(engine) as session:
        found = session.execute(text("SELECT key, message_id, state, attempts FROM deliveries"))
        return [tuple(row) for row in found]
