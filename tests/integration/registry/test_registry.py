"""The registry on both databases: what it keeps, what it refuses, and what it never forgets."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from patchbay.core.errors import AdapterError, ConfigError, Conflict, NotFound, RegistryError
from patchbay.registry.database import Database
from patchbay.registry.records import (
    AdapterSettings,
    BaseModelRecord,
    ChannelChange,
    GoldenPrompt,
    Placement,
    ReplicaReport,
    RouterBeat,
)
from patchbay.registry.registry import Registry
from tests.fakes.drafts import BASE, draft

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def promoted(registry: Registry, number: int, channel: str = "stable") -> None:
    assert channel in ("stable", "canary")
    change = ChannelChange(
        adapter="sql", number=number, channel="stable" if channel == "stable" else "canary", actor="me", why="because"
    )
    registry.flip(registry.begin_rollout(change).id)


def pushed(registry: Registry, count: int = 3) -> None:
    for fill in range(1, count + 1):
        registry.push(draft(fill=fill), actor="ml")


def test_a_revision_comes_back_as_it_was_pushed(registry: Registry) -> None:
    import dataclasses

    golden = GoldenPrompt(messages=({"role": "user", "content": "hi"},), expect="ho", differs_from_base=True)
    given = dataclasses.replace(draft(expires=NOW), golden=(golden,), signed_by="a key")
    revision, created = registry.push(given, actor="ml")
    assert (revision.number, revision.created_by, created) == (1, "ml", True)
    assert registry.revision("sql", 1).draft == given


def test_the_same_bytes_for_the_same_base_are_one_revision_and_for_another_base_two(registry: Registry) -> None:
    first, _ = registry.push(draft(), actor="a")
    again, created = registry.push(draft(), actor="b")
    assert (again, created) == (first, False)
    other, created = registry.push(draft(base="c" * 64), actor="a")
    assert (other.number, created) == (2, True)


def test_a_retired_number_is_never_used_again(registry: Registry) -> None:
    pushed(registry, 2)
    registry.retire("sql", 2, actor="me")
    again, created = registry.push(draft(fill=2), actor="ml")
    assert (again.number, created) == (3, True)
    assert registry.revision("sql", 2).retired_at is not None


def test_a_channel_moves_only_from_where_it_was_when_that_was_asked(registry: Registry) -> None:
    pushed(registry)
    promoted(registry, 1)
    slow = registry.begin_rollout(ChannelChange(adapter="sql", number=2, channel="stable", actor="slow"))
    with pytest.raises(Conflict, match="somebody else has moved it"):
        registry.move(ChannelChange(adapter="sql", number=3, channel="stable", actor="me"), expected=2)
    registry.move(ChannelChange(adapter="sql", number=3, channel="stable", actor="fast"), expected=1)
    with pytest.raises(Conflict, match="superseded already"):
        registry.flip(slow.id)
    assert registry.snapshot().adapters["sql"].number("stable") == 3


def test_rolling_back_twice_goes_two_back_and_never_to_what_was_rolled_back_from(registry: Registry) -> None:
    pushed(registry)
    for number in (1, 2, 3):
        promoted(registry, number)
    assert registry.rollback("sql", actor="sre", why="bad").number == 2
    second = registry.rollback("sql", actor="sre", why="bad, too")
    assert (second.number, second.previous) == (1, None)
    with pytest.raises(Conflict, match="no earlier revision"):
        registry.rollback("sql", actor="sre", why="")
    promoted(registry, 3)
    assert registry.rollback("sql", actor="sre", why="").number == 1


def test_a_rollback_goes_past_what_was_retired_meanwhile(registry: Registry) -> None:
    pushed(registry)
    for number in (1, 2, 3):
        promoted(registry, number)
    registry.retire("sql", 2, actor="me")
    assert registry.snapshot().adapters["sql"].channels["stable"].previous is None
    registry.push(draft(fill=4), actor="ml")
    promoted(registry, 4)
    assert registry.rollback("sql", actor="sre", why="").number == 3
    assert registry.rollback("sql", actor="sre", why="").number == 1


def test_what_a_name_means_or_a_rollout_wants_cannot_be_retired(registry: Registry) -> None:
    pushed(registry)
    promoted(registry, 1)
    with pytest.raises(Conflict, match="'stable' means"):
        registry.retire("sql", 1, actor="me")
    rollout = registry.begin_rollout(ChannelChange(adapter="sql", number=2, channel="stable", actor="me"))
    with pytest.raises(Conflict, match="being rolled out"):
        registry.retire("sql", 2, actor="me")
    registry.advance(rollout.id, "failed", reason="no")
    assert registry.retire("sql", 2, actor="me").retired_at is not None


@pytest.mark.parametrize("state", ["done", "failed", "superseded"])
def test_a_rollout_that_has_ended_never_changes(registry: Registry, state: str) -> None:
    pushed(registry)
    rollout = registry.begin_rollout(ChannelChange(adapter="sql", number=1, channel="stable", actor="me"))
    if state == "done":
        registry.flip(rollout.id)
    elif state == "failed":
        registry.advance(rollout.id, "failed", reason="no")
    else:
        registry.begin_rollout(ChannelChange(adapter="sql", number=2, channel="stable", actor="me"))
    assert registry.rollout(rollout.id).state == state
    for change in (lambda: registry.flip(rollout.id), lambda: registry.advance(rollout.id, "testing")):
        with pytest.raises(Conflict, match=f"is {state} already"):
            change()


def test_a_router_that_follows_the_registry_would_not_know_when_a_revision_expires(registry: Registry) -> None:
    registry.push(draft(fill=1, expires=NOW), actor="ml")
    registry.push(draft(fill=2), actor="ml")
    known = registry.snapshot().adapters["sql"].revisions
    assert (known[1].expires, known[2].expires) == (NOW, None)


def test_an_expired_or_retired_revision_is_not_promoted(registry: Registry) -> None:
    registry.push(draft(fill=1, expires=NOW), actor="ml")
    registry.push(draft(fill=2), actor="ml")
    registry.retire("sql", 2, actor="me")
    with pytest.raises(Conflict, match="has expired"):
        registry.begin_rollout(ChannelChange(adapter="sql", number=1, channel="stable", actor="me"))
    with pytest.raises(Conflict, match="is retired"):
        registry.move(ChannelChange(adapter="sql", number=2, channel="stable", actor="me"), expected=None)


def test_what_there_is_not_is_said_with_the_nearest_that_there_is(registry: Registry) -> None:
    pushed(registry)
    with pytest.raises(NotFound, match="Did you mean 'sql'"):
        registry.revisions("sqll")
    with pytest.raises(NotFound, match="It has 1, 2, 3"):
        registry.resolve("sql@9")
    with pytest.raises(NotFound, match="not 000000000000"):
        registry.resolve("sql@1-000000000000")
    with pytest.raises(NotFound, match="names no adapter"):
        registry.resolve("../sql")
    with pytest.raises(AdapterError, match="no adapter name"):
        registry.push(draft("../up"), actor="ml")


def test_a_bare_name_means_stable_and_before_there_is_one_the_newest(registry: Registry) -> None:
    pushed(registry)
    assert registry.resolve("sql").number == 3
    promoted(registry, 1)
    assert registry.resolve("sql").number == 1
    assert registry.resolve("sql@2").number == 2


def test_the_past_cannot_be_changed_not_even_past_the_registry(registry: Registry, url: str) -> None:
    pushed(registry)
    promoted(registry, 1)
    database = Database(url)
    for statement in (
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "UPDATE moves SET after = 2",
        "DELETE FROM moves",
        "DELETE FROM revisions",
        "UPDATE revisions SET digest = 'other'",
        "UPDATE revisions SET number = 99 WHERE number = 3",
    ):
        with pytest.raises(RegistryError, match="never changes"), database.write() as connection:
            connection.execute(text(statement))
    database.close()
    assert [move.after for move in registry.history("sql", "stable")] == [1]


def test_everything_that_changes_is_in_the_audit_with_who_and_why(registry: Registry) -> None:
    pushed(registry, 2)
    promoted(registry, 1)
    promoted(registry, 2)
    registry.rollback("sql", actor="sre", why="worse")
    registry.retire("sql", 2, actor="ml", why="bad data")
    registry.set_settings("sql", AdapterSettings(pin=True), actor="ops")
    found = [(one.actor, one.action, one.subject) for one in reversed(registry.audit())]
    assert found == [
        ("ml", "push", "sql@1"),
        ("ml", "push", "sql@2"),
        ("me", "rollout", "sql@1"),
        ("me", "promote", "sql@1"),
        ("me", "rollout", "sql@2"),
        ("me", "promote", "sql@2"),
        ("sre", "rollback", "sql@1"),
        ("ml", "retire", "sql@2"),
        ("ops", "set", "sql"),
    ]
    newest = registry.audit(limit=1)[0]
    assert registry.audit(before=newest.id, limit=1)[0].details == {"why": "bad data"}
    assert len(registry.audit(subject="sq")) == 0
    assert len(registry.audit(subject="sql")) == 9
    assert len(registry.audit(subject="sql@1")) == 4


def test_the_generation_goes_up_with_every_change_that_routers_must_know_and_with_no_other(registry: Registry) -> None:
    seen = [registry.generation()]
    for change in (
        lambda: registry.push(draft(), actor="ml"),
        lambda: registry.begin_rollout(ChannelChange(adapter="sql", number=1, channel="stable", actor="me")),
        lambda: registry.advance(1, "staging"),
        lambda: registry.flip(1),
        lambda: registry.set_settings("sql", AdapterSettings(pin=True), actor="me"),
    ):
        change()
        seen.append(registry.generation())
    assert seen == sorted(set(seen))
    registry.push(draft(), actor="ml")
    registry.beat(RouterBeat("r", 1, NOW))
    registry.set_settings("sql", AdapterSettings(pin=True), actor="me")
    registry.release_upload(registry.lease_upload(["a"], 10))
    assert registry.generation() == seen[-1] == registry.snapshot().generation


def test_files_of_live_revisions_and_of_pushes_under_way_are_never_collected(registry: Registry) -> None:
    pushed(registry, 2)
    registry.retire("sql", 2, actor="me")
    kept, gone, leased = (draft(fill=fill).files[0].sha256 for fill in (1, 2, 3))
    lease = registry.lease_upload([leased], 60)
    removed: list[str] = []
    assert registry.collect([kept, gone, leased], removed.append) == 1
    assert removed == [gone]
    registry.release_upload(lease)
    assert registry.collect([leased], removed.append) == 1


def test_a_lease_has_one_holder_until_it_is_given_up_or_runs_out(url: str) -> None:
    now = [NOW]
    with Registry.open(url, clock=lambda: now[0]) as registry:
        assert registry.take_lease("loop", "one", 5)
        assert not registry.take_lease("loop", "two", 5)
        assert registry.take_lease("loop", "one", 5)
        now[0] += timedelta(seconds=6)
        assert registry.take_lease("loop", "two", 5)
        assert not registry.take_lease("loop", "one", 5)
        registry.drop_lease("loop", "one")
        assert not registry.take_lease("loop", "one", 5)
        registry.drop_lease("loop", "two")
        assert registry.take_lease("loop", "one", 5)


def test_routers_are_alive_while_they_say_so(url: str) -> None:
    with Registry.open(url, clock=lambda: NOW) as registry:
        registry.beat(RouterBeat("old", 3, NOW - timedelta(seconds=11)))
        registry.beat(RouterBeat("new", 3, NOW))
        registry.beat(RouterBeat("new", 4, NOW))
        assert registry.routers(10) == (RouterBeat("new", 4, NOW, since=NOW),)


def test_routers_tell_what_they_serve_as_long_as_they_are_alive(url: str) -> None:
    with Registry.open(url, clock=lambda: NOW) as registry:
        registry.beat(RouterBeat("gone", 3, NOW - timedelta(seconds=11)), {"pools": ["old"]})
        registry.beat(RouterBeat("before", 3, NOW))
        for pools in (["default"], ["default", "next"]):
            registry.beat(RouterBeat("new", 3, NOW), {"pools": pools})
        assert registry.served(10) == {"new": {"pools": ["default", "next"]}}


def test_reports_and_base_models_come_back_as_they_were(registry: Registry) -> None:
    placements = (
        Placement(replica="r", adapter="sql", number=1, state="failed", reason="no", detail="failed"),
        Placement(replica="r", adapter="sql", number=2, state="resident"),
    )
    report = ReplicaReport(
        name="r",
        base=BASE,
        ready=True,
        slots=4,
        cpu=8,
        usage={"peak": 2, "distances": [1, 2]},
        placements=placements,
        seen_at=NOW,
    )
    registry.put_report(report)
    registry.put_report(report)
    assert registry.reports() == (report,)
    registry.forget_report("r")
    assert registry.reports() == ()
    base = BaseModelRecord(fingerprint=BASE, name="tiny", source="hub/tiny", layout={"modules": {"q": [1, 2]}})
    registry.register_base(base)
    registry.register_base(BaseModelRecord(fingerprint=BASE, name="tiny", source="hub/tiny"))
    assert registry.bases() == (base,)


def test_a_registry_made_by_a_newer_version_is_not_touched(registry: Registry, url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(RegistryError, match="of another version"):
        Registry.open(url)


def test_a_database_that_cannot_be_used_is_said_without_its_password(tmp_path: object) -> None:
    with pytest.raises(RegistryError) as refused:
        Registry.open("postgresql://me:hush@127.0.0.1:1/db")
    assert "hush" not in str(refused.value)
    with pytest.raises(RegistryError, match="cannot be used"):
        Registry.open(f"sqlite:///{tmp_path}")
    for url in ("mysql://x/y", "nonsense", ""):
        with pytest.raises(ConfigError):
            Registry.open(url)


def test_replicas_are_added_moved_and_removed_and_the_audit_says_by_whom(registry: Registry) -> None:
    registry.add_replica("gpu-1", "http://10.0.0.1:9001/v1", actor="ann")
    registry.add_replica("gpu-1", "http://10.0.0.2:9001", actor="bob")
    registry.add_replica("gpu-0", "https://gpu-0.internal", actor="bob")
    assert [(one.name, one.url, one.added_by) for one in registry.replicas()] == [
        ("gpu-0", "https://gpu-0.internal", "bob"),
        ("gpu-1", "http://10.0.0.2:9001", "bob"),
    ]
    assert registry.remove_replica("gpu-1", actor="cid").url == "http://10.0.0.2:9001"
    with pytest.raises(NotFound, match="no replica called 'gpu-1'"):
        registry.remove_replica("gpu-1", actor="cid")
    trail = [(entry.actor, entry.action) for entry in registry.audit(subject="gpu-1")]
    assert trail == [("cid", "replica.remove"), ("bob", "replica.add"), ("ann", "replica.add")]


def test_what_is_no_replica_is_not_added(registry: Registry) -> None:
    for name, url in [("", "http://x"), ("a b", "http://x"), ("a", "x:80"), ("a", "http://u:p@x")]:
        with pytest.raises(ConfigError):
            registry.add_replica(name, url, actor="me")
    assert registry.replicas() == ()
