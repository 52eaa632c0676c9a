"""The store of kept responses, on both databases: whose they are, how long, and what a conversation is made of."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from patchbay.registry.registry import Registry
from patchbay.registry.responses import ConversationEnd, KeepResult, KeepTerms, ResponseDraft

MONTH = timedelta(days=30)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def draft(name: str, tenant: str = "acme", previous: ConversationEnd | None = None, text: str = "hi") -> ResponseDraft:
    items = f'[{{"role":"user","content":"{text}"}}]'.encode()
    return ResponseDraft(
        tenant=tenant,
        id=name,
        model="sql@3",
        response=b'{"id":"%b"}' % name.encode(),
        output=b"[]",
        input=items,
        previous=previous,
    )


def keep(registry: Registry, *drafts: ResponseDraft, most_bytes: int = 10**9) -> Sequence[KeepResult]:
    return registry.responses.keep(lambda: drafts, KeepTerms(keep_for=MONTH, most_bytes=most_bytes))


def conversation(registry: Registry, *names: str) -> ConversationEnd:
    """A conversation of responses with these ids, the first one first."""
    end: ConversationEnd | None = None
    for name in names:
        keep(registry, draft(name, previous=end, text=name))
        end = registry.responses.link("acme", name)
    assert end is not None
    return end


def test_a_response_is_read_back_whole_and_by_nobody_else(registry: Registry) -> None:
    assert keep(registry, draft("resp_1", text="secret")) == ("kept",)
    found = registry.responses.find("acme", "resp_1")
    assert found is not None
    assert (found.id, found.response, found.output) == ("resp_1", b'{"id":"resp_1"}', b"[]")
    assert b"secret" in found.input
    assert registry.responses.find("other", "resp_1") is None
    assert registry.responses.link("other", "resp_1") is None
    assert not registry.responses.delete("other", "resp_1")


def test_an_id_that_is_taken_is_not_overwritten_and_another_tenants_is_free(registry: Registry) -> None:
    keep(registry, draft("resp_1", text="first"))
    again = draft("resp_1", text="second"), draft("resp_1", tenant="other"), draft("resp_1", tenant="other")
    assert keep(registry, *again) == ("taken", "kept", "taken")
    found = registry.responses.find("acme", "resp_1")
    assert found is not None
    assert b"first" in found.input


def test_many_ids_at_once_are_all_compared(registry: Registry) -> None:
    drafts = [draft(f"resp_{number}") for number in range(250)]
    assert set(keep(registry, *drafts)) == {"kept"}
    assert set(keep(registry, *drafts)) == {"taken"}


def test_a_tenant_keeps_no_more_than_it_may_and_no_other_one_has_less(registry: Registry) -> None:
    size = draft("a").size
    some = draft("a"), draft("b"), draft("c"), draft("a", tenant="other")
    assert keep(registry, *some, most_bytes=2 * size) == ("kept", "kept", "full", "kept")
    assert keep(registry, draft("c"), draft("a"), most_bytes=2 * size) == ("full", "taken")
    assert registry.responses.delete("acme", "a")
    assert keep(registry, draft("c"), draft("d"), most_bytes=2 * size) == ("kept", "full")


def test_what_has_expired_is_gone_before_it_is_purged_and_then_for_good(url: str) -> None:
    clock = Clock()
    with Registry.open(url, clock=clock) as registry:
        keep(registry, draft("resp_1"))
        clock.now += MONTH / 2
        keep(registry, draft("resp_2"))
        clock.now += MONTH / 2
        assert registry.responses.find("acme", "resp_1") is None
        assert registry.responses.link("acme", "resp_1") is None
        assert (registry.responses.purge(), registry.responses.purge()) == (1, 0)
        assert registry.responses.find("acme", "resp_2") is not None


def test_a_conversation_is_read_from_its_end_and_knows_its_length_and_size(registry: Registry) -> None:
    end = conversation(registry, "resp_1", "resp_2", "resp_3")
    assert end.turns == 3
    turns = registry.responses.turns(end)
    assert [(turn.id, turn.previous) for turn in turns] == [
        ("resp_3", "resp_2"),
        ("resp_2", "resp_1"),
        ("resp_1", None),
    ]
    assert end.size == sum(len(turn.input) + len(turn.output) for turn in turns)


def test_conversations_that_part_share_their_beginning_only(registry: Registry) -> None:
    end = conversation(registry, "resp_1", "resp_2")
    keep(registry, draft("resp_a", previous=end), draft("resp_b", previous=end))
    for name in ("resp_a", "resp_b"):
        link = registry.responses.link("acme", name)
        assert link is not None
        assert [turn.id for turn in registry.responses.turns(link)] == [name, "resp_2", "resp_1"]


def test_a_deleted_response_is_missing_from_its_conversation_and_none_takes_its_place(registry: Registry) -> None:
    end = conversation(registry, "resp_1", "resp_2", "resp_3")
    assert registry.responses.delete("acme", "resp_2")
    assert keep(registry, draft("resp_2", text="forged")) == ("kept",)
    assert [turn.id for turn in registry.responses.turns(end)] == ["resp_3"]


def test_a_conversation_whose_beginning_has_expired_is_not_whole(url: str) -> None:
    clock = Clock()
    with Registry.open(url, clock=clock) as registry:
        keep(registry, draft("resp_1"))
        clock.now += MONTH / 2
        keep(registry, draft("resp_2", previous=registry.responses.link("acme", "resp_1")))
        clock.now += MONTH / 2
        link = registry.responses.link("acme", "resp_2")
        assert link is not None
        assert [turn.id for turn in registry.responses.turns(link)] == ["resp_2"]


@pytest.mark.parametrize("way", ["deleted", "expired"])
def test_what_is_deleted_leaves_no_text_in_the_file_of_sqlite(tmp_path: Path, way: str) -> None:
    file, clock = tmp_path / "registry.db", Clock()
    with Registry.open(f"sqlite:///{file}", clock=clock) as registry:
        keep(registry, draft("resp_1", text="something-nobody-should-read" * 400))
        if way == "expired":
            clock.now += MONTH
            registry.responses.purge()
        else:
            registry.responses.delete("acme", "resp_1")
    sqlite3.connect(file).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert all(b"something-nobody" not in one.read_bytes() for one in tmp_path.iterdir() if one.is_file())
