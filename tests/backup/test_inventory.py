"""What differs between the live store and a backup, however much of it there is."""

import tracemalloc

from mailcare.backup.inventory import difference, inventory_facts, judge_inventory
from mailcare.backup.source import Census, MailboxRow, Message
from mailcare.backup.spool import spooled
from mailcare.backup.verdicts import Verdict
from tests.backup.stores import NOW

MAILBOXES, EACH = 100, 200


def messages():
    for box in range(MAILBOXES):
        for number in range(EACH):
            name = b"%d/%d" % (box, number) + b"x" * 200
            yield Message(name, f"u{box}@bank.example", "INBOX", name, 600, 1e9)


def differences(scratch):
    with spooled(scratch) as spool:
        spool.keep(0, messages())
        for box in range(MAILBOXES):
            name = f"u{box}@bank.example"
            yield difference(
                name,
                spool.messages(0, name),
                spool.messages(1, name),
                started_s=NOW.timestamp(),
                slack_s=0,
                now_s=NOW.timestamp(),
                same_content=lambda _lost, _gone: frozenset(),
            )


def test_memory_holds_one_mailbox_where_every_message_of_all_is_lost(tmp_path):
    rows = [MailboxRow(f"u{box}@bank.example", 1, EACH, 1, 1e9, "") for box in range(MAILBOXES)]
    tracemalloc.start()
    facts = inventory_facts(
        Census(tuple(rows)),
        Census(()),
        differences(tmp_path),
        generation="a",
        started_at=NOW,
        slack_min=0,
    )
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert facts.lost == MAILBOXES * EACH
    assert judge_inventory(facts).verdict is Verdict.FAIL
    assert peak_bytes < 1_000_000, "all of it is more than ten times as much"
