"""Registries of versions before, on both databases: canaries keep what judged them, responses count with their size."""

from datetime import UTC, datetime, timedelta
from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from patchbay.registry.database import Database
from patchbay.registry.registry import Registry
from patchbay.registry.responses import KeepTerms, ResponseDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = (
    "INSERT INTO canaries (id, adapter, number, baseline, plan, phase, reason, step, weight, passed, samples, version, "
    "looks, cut, cursor, actor, created_at, updated_at) VALUES (1, 'sql', 2, 1, '{}', 'running', '5%', 0, 5, "
    ":no, 0, 1, 3, :no, '{}', 'ml', :now, :now)"
)
RESPONSE = (
    "INSERT INTO responses (key, tenant, id, model, response, output, input, turns, size, created_at, expires_at) "
    "VALUES ('k', 'acme', 'old', 'sql', :five, :three, :two, 1, 5, :now, :later)"
)
LOOK = "INSERT INTO looks (canary, number, verdict, at) VALUES (1, :number, :verdict, :now)"


def upgraded(database: Database, to: str) -> None:
    """Makes the tables of an older version. `to`: the step of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("patchbay.registry") / "migrations"))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def test_an_older_registrys_canaries_lose_what_was_last_seen_of_them(url: str) -> None:
    database = Database(url)
    upgraded(database, "0005")
    with database.write() as connection:
        connection.execute(text(CANARY), {"no": False, "now": NOW})
        for number, verdict in ((1, "{}"), (2, '{"kind": "hold", "place": [0]}'), (3, '{"kind": "blind"}')):
            connection.execute(text(LOOK), {"number": number, "verdict": verdict, "now": NOW})
    database.close()
    with Registry.open(url) as registry:
        record = registry.canaries.get(1)
        assert (record.judged, record.paused_s, record.paused_at) == (2, 0.0, None)
        assert registry.canaries.judged(1)[1].verdict["kind"] == "hold"
        known, looks = registry.canaries.resumed_from(1)
        assert known is None
        assert [look.number for look in looks] == [1, 2, 3]
        assert len(registry.snapshot().installation) == 32


def test_an_older_registrys_responses_count_for_their_tenants_quota(url: str) -> None:
    database = Database(url)
    upgraded(database, "0009")
    with database.write() as connection:
        row = {"five": b"12345", "three": b"123", "two": b"[]", "now": NOW, "later": datetime(2126, 1, 1, tzinfo=UTC)}
        connection.execute(text(RESPONSE), row)
    database.close()
    with Registry.open(url) as registry:
        draft = ResponseDraft(tenant="acme", id="new", model="sql", response=b"{}", output=b"", input=b"")
        for most_bytes, result in ((11, "full"), (12, "kept")):
            terms = KeepTerms(keep_for=timedelta(days=1), most_bytes=most_bytes)
            assert registry.responses.keep(lambda: [draft], terms) == (result,)
