"""Any interleaving of pushes, promotions, rollbacks, retirements and crashes keeps what the registry promises."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from patchbay.core.errors import Conflict, NotFound
from patchbay.registry.history import trail
from patchbay.registry.records import UNFINISHED, Channel, ChannelChange
from patchbay.registry.registry import Registry
from tests.fakes.drafts import draft

NAMES = st.sampled_from(["sql", "label"])
CHANNELS = st.sampled_from(["stable", "canary"])
NUMBERS = st.integers(1, 6)
START = datetime(2026, 1, 1, tzinfo=UTC)


class RegistryMachine(RuleBasedStateMachine):
    """Acts on a registry as many people would, and checks it against what it was ever told."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name) / 'registry.db'}"
        self.now = START
        self.registry = self._open()
        self.digests: dict[tuple[str, int], str] = {}
        self.moved: dict[tuple[str, str], list[int | None]] = {}
        self.retired: set[tuple[str, int]] = set()

    def _open(self) -> Registry:
        return Registry.open(self.url, clock=lambda: self.now)

    def teardown(self) -> None:
        self.registry.close()
        self.folder.cleanup()

    @rule(name=NAMES, fill=st.integers(1, 5), expires_s=st.sampled_from([None, 5, 500]))
    def push(self, name: str, fill: int, expires_s: int | None) -> None:
        expires = self.now + timedelta(seconds=expires_s) if expires_s else None
        revision, created = self.registry.push(draft(name, fill, expires=expires), actor="ml")
        key = (name, revision.number)
        assert created == (key not in self.digests), "a number came twice, or a revision was made anew"
        assert created or key not in self.retired, "a retired revision came back under its number"
        assert self.digests.setdefault(key, revision.draft.digest) == revision.draft.digest

    @rule(name=NAMES, number=NUMBERS, channel=CHANNELS)
    def begin(self, name: str, number: int, channel: Channel) -> None:
        try:
            self.registry.begin_rollout(ChannelChange(adapter=name, number=number, channel=channel, actor="ml"))
        except (Conflict, NotFound):
            return
        assert (name, number) not in self.retired, "a retired revision is rolled out"

    @rule(pick=st.integers(0, 3), failed=st.booleans())
    def end(self, pick: int, failed: bool) -> None:
        rollouts = [one for one in self.registry.rollouts() if one.state in UNFINISHED]
        if not rollouts:
            return
        one = rollouts[pick % len(rollouts)]
        if failed:
            self.registry.advance(one.id, "failed", reason="no")
            return
        try:
            self.registry.flip(one.id)
        except Conflict:
            assert self.registry.rollout(one.id).state == "failed"
        else:
            self.moved.setdefault((one.adapter, one.channel), []).append(one.number)

    @rule(name=NAMES, channel=CHANNELS)
    def roll_back(self, name: str, channel: Channel) -> None:
        try:
            before = trail(self.registry.history(name, channel))
            record = self.registry.rollback(name, channel, actor="sre", why="worse")
        except (Conflict, NotFound):
            return
        assert record.number in before[:-1], "a rollback went to where the channel never was"
        self.moved[name, channel].append(record.number)

    @rule(name=NAMES, channel=CHANNELS)
    def clear(self, name: str, channel: Channel) -> None:
        view = self.registry.snapshot().adapters.get(name)
        if view is not None and view.number(channel) is not None:
            self.registry.move(
                ChannelChange(adapter=name, number=None, channel=channel, actor="me", why=None, kind="clear"),
                expected=view.number(channel),
            )
            self.moved[name, channel].append(None)

    @rule(name=NAMES, number=NUMBERS)
    def retire(self, name: str, number: int) -> None:
        try:
            self.registry.retire(name, number, actor="ml")
        except (Conflict, NotFound):
            return
        self.retired.add((name, number))

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def crash(self) -> None:
        """A process that ends in the middle of a write leaves nothing of it."""
        try:
            with self.registry._database.write() as connection:  # noqa: SLF001 - what a crash cuts off is private
                connection.exec_driver_sql("UPDATE state SET generation = generation + 1000")
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            self.registry.close()
        self.registry = self._open()
        assert self.registry.generation() < 1000

    @invariant()
    def what_was_pushed_is_there_as_it_was(self) -> None:
        found = {
            (name, one.number): one
            for name in self.registry.snapshot().adapters
            for one in self.registry.revisions(name)
        }
        assert {key: one.draft.digest for key, one in found.items()} == self.digests
        assert {key for key, one in found.items() if one.retired_at} == self.retired

    @invariant()
    def channels_are_where_they_were_last_moved_and_their_history_is_whole(self) -> None:
        for name, view in self.registry.snapshot().adapters.items():
            for channel, record in view.channels.items():
                moves = self.registry.history(name, channel)
                assert [move.after for move in moves] == self.moved[name, channel]
                assert record.number == moves[-1].after
                assert record.number is None or (name, record.number) not in self.retired, "what is retired serves"
                assert record.previous is None or (name, record.previous) not in self.retired

    @invariant()
    def a_channel_has_at_most_one_rollout_under_way(self) -> None:
        under_way = [(one.adapter, one.channel) for one in self.registry.rollouts() if one.state in UNFINISHED]
        assert len(under_way) == len(set(under_way))


RegistryMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestRegistryMachine = RegistryMachine.TestCase
