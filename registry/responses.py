"""The store of responses that clients asked to have kept: what was answered, and what was asked, of each tenant.

A response holds its own input and output alone. What came before it in its conversation is found by `previous_key`, a
key that is never used twice, so a response that was deleted is missing from all conversations that went on from it, and
no other one can take its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, select

from patchbay.registry.database import Database
from patchbay.registry.schema import responses

# Rows of a deletion: each holds the write lock until it ends.
_A_TIME = 200
_IDS_A_TIME = 100
# What became of a response: kept; its id was taken; its tenant has kept as much as it may.
KeepResult = Literal["kept", "taken", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEnd:
    """The last response of a conversation, by which another can go on. `turns`: the responses in the conversation;
    `size`: bytes of the inputs and outputs of all of them."""

    key: str
    id: str
    turns: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDraft:
    """A response that is to be kept. `response`: the object without its `output`; `output`, `input`: lists of what was
    answered and asked; all three are JSON in UTF-8. `previous`: what it went on from."""

    tenant: str
    id: str
    model: str
    response: bytes
    output: bytes
    input: bytes
    previous: ConversationEnd | None = None

    @property
    def size(self) -> int:
        """The bytes of all of it."""
        return len(self.response) + len(self.output) + len(self.input)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTerms:
    """The terms on which responses are kept. `keep_for`: how long; `most_bytes`: of all that a tenant has kept."""

    keep_for: timedelta
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    """A response that is kept, with its input, as in `ResponseDraft`."""

    id: str
    response: bytes
    output: bytes
    input: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationTurn:
    """One response of a conversation: what was asked, and what was answered. `previous`: the id of the one before."""

    id: str
    input: bytes
    output: bytes
    previous: str | None


class Responses:
    """The kept responses of one registry. Thread-safe; each method is one transaction and blocks.

    Whatever has expired is not there any more, even before `purge` has deleted it. Every method raises RegistryError
    where the database cannot be used.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def keep(self, drafts: Callable[[], Sequence[ResponseDraft]], terms: KeepTerms) -> tuple[KeepResult, ...]:
        """Keeps responses by `terms`, and returns of each what became of it.

        `drafts`: called when it is this write's turn, which may come late.
        """
        with self._database.write() as connection:
            now, wanted = self._clock(), drafts()
            taken, room = _taken(connection, wanted), _room(connection, wanted, terms.most_bytes)
            results: list[KeepResult] = []
            for draft in wanted:
                name = draft.tenant, draft.id
                result: KeepResult = "taken" if name in taken else "full" if room[draft.tenant] < draft.size else "kept"
                results.append(result)
                if result == "kept":
                    taken.add(name)
                    room[draft.tenant] -= draft.size
                    connection.execute(insert(responses).values(**_row(draft, now, now + terms.keep_for)))
            return tuple(results)

    def find(self, tenant: str, name: str) -> KeptResponse | None:
        """Reads a tenant's response by its id, None where the tenant has none of that."""
        with self._database.read() as connection:
            row = connection.execute(select(responses).where(*self._there(tenant, name))).one_or_none()
            return (
                KeptResponse(id=row.id, response=row.response, output=row.output, input=row.input)
                if row is not None
                else None
            )

    def link(self, tenant: str, name: str) -> ConversationEnd | None:
        """Reads where a tenant's conversation ends, by the id of its last response; None where there is none."""
        columns = responses.c.key, responses.c.id, responses.c.turns, responses.c.size
        with self._database.read() as connection:
            row = connection.execute(select(*columns).where(*self._there(tenant, name))).one_or_none()
            return ConversationEnd(key=row.key, id=row.id, turns=row.turns, size=row.size) if row is not None else None

    def turns(self, end: ConversationEnd) -> tuple[ConversationTurn, ...]:
        """Reads the conversation that ends there, the last response first, as far back as it is whole.

        It is shorter than `end.turns` where one of them is not there any more.
        """
        now = self._clock()
        chain = (
            select(responses.c.key, responses.c.previous_key, literal(1).label("place"))
            .where(responses.c.key == end.key, responses.c.expires_at > now)
            .cte("chain", recursive=True)
        )
        older = select(responses.c.key, responses.c.previous_key, chain.c.place + 1).where(
            responses.c.key == chain.c.previous_key, responses.c.expires_at > now, chain.c.place < end.turns
        )
        chain = chain.union_all(older)
        columns = responses.c.id, responses.c.input, responses.c.output, responses.c.previous
        query = select(*columns).join(chain, responses.c.key == chain.c.key).order_by(chain.c.place)
        with self._database.read() as connection:
            return tuple(
                ConversationTurn(id=row.id, input=row.input, output=row.output, previous=row.previous)
                for row in connection.execute(query)
            )

    def delete(self, tenant: str, name: str) -> bool:
        """Deletes a tenant's response with all that it holds. Returns whether there was one."""
        with self._database.write() as connection:
            return bool(connection.execute(delete(responses).where(*self._there(tenant, name))).rowcount)

    def purge(self) -> int:
        """Deletes responses that have expired, some at a time. Returns how many there were, 0 once there are none."""
        with self._database.write() as connection:
            expired = select(responses.c.key).where(responses.c.expires_at <= self._clock()).limit(_A_TIME)
            return int(connection.execute(delete(responses).where(responses.c.key.in_(expired))).rowcount)

    def _there(self, tenant: str, name: str) -> tuple[ColumnElement[bool], ...]:
        return responses.c.tenant == tenant, responses.c.id == name, responses.c.expires_at > self._clock()


def _taken(connection: Connection, drafts: Sequence[ResponseDraft]) -> set[tuple[str, str]]:
    """Reads which names, of tenant and id, are taken. Names of other tenants may be among them."""
    found: set[tuple[str, str]] = set()
    for first in range(0, len(drafts), _IDS_A_TIME):
        ids = [draft.id for draft in drafts[first : first + _IDS_A_TIME]]
        query = select(responses.c.tenant, responses.c.id).where(
            responses.c.tenant.in_({draft.tenant for draft in drafts}), responses.c.id.in_(ids)
        )
        found.update((row.tenant, row.id) for row in connection.execute(query))
    return found


def _room(connection: Connection, drafts: Sequence[ResponseDraft], most_bytes: int) -> dict[str, int]:
    """Reads how many bytes more the tenants of `drafts` may keep."""
    names = {draft.tenant for draft in drafts}
    query = select(responses.c.tenant, func.sum(responses.c.own_size)).where(responses.c.tenant.in_(names))
    used = {tenant: int(total) for tenant, total in connection.execute(query.group_by(responses.c.tenant))}
    return {name: most_bytes - used.get(name, 0) for name in names}


def _row(draft: ResponseDraft, now: datetime, expires_at: datetime) -> dict[str, Any]:
    previous = draft.previous
    return {
        "key": uuid4().hex,
        "tenant": draft.tenant,
        "id": draft.id,
        "model": draft.model,
        "response": draft.response,
        "output": draft.output,
        "input": draft.input,
        "previous": previous.id if previous is not None else None,
        "previous_key": previous.key if previous is not None else None,
        "turns": 1 + (previous.turns if previous is not None else 0),
        "size": len(draft.output) + len(draft.input) + (previous.size if previous is not None else 0),
        "own_size": draft.size,
        "created_at": now,
        "expires_at": expires_at,
    }
