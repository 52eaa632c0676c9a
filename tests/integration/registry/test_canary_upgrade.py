"""A registry of the version before, on both databases: its canaries are there with what they were judged by."""

from datetime import UTC, datetime
from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from patchbay.registry.database import Database
from patchbay.registry.registry import Registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = (
    "INSERT INTO canaries (id, adapter, number, baseline, plan, phase, reason, step, weight, passed, samples, version, "
    "looks, cut, cursor, actor, created_at, updated_at) VALUES (1, 'sql', 2, 1, '{}', 'running', '5%', 0, 5, "
    ":no, 0, 1, 3, :no, '{}', 'ml', :now, :now)"
)
LOOK = "INSERT INTO looks (canary, number, verdict, at) VALUES (1, :number, :verdict, :now)"


def test_an_older_registrys_canaries_lose_what_was_last_seen_of_them(url: str) -> None:
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", str(resources.files("patchbay.registry") / "migrations"))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
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
