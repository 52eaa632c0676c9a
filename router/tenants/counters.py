"""Counters of the use of limits: amounts are set aside before a call and settled after it, so that no limit is ever
exceeded.

All limits of a call are checked and charged in one step, in memory or by a script in Redis: the next caller sees either
all charges or none. Windows are minutes and days of the counters' own clock, which is Redis' for all routers, so that
routers whose clocks differ still agree.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from patchbay.core.errors import Unavailable

LEASE_S = 30.0
Kept = TypeVar("Kept")


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """The amount of one limit that a call takes.

    `amount`: out of `limit` in a window of `window_s` seconds; `name`: distinguishes the windows of one tenant. With a
    window of 0 the charge is a lease: one more at a time, given back by `settle`.
    """

    tenant: str
    name: str
    amount: int
    limit: int
    window_s: int


class Reserved(msgspec.Struct, frozen=True):
    """The result of a reservation.

    `refused`: the place of the charge that is over its limit, None where all is set aside; `used`: the use of each
    window, with this call; `now_s`: the counters' time, Unix time; `lease`: the lease's id, empty without one.
    """

    refused: int | None
    used: tuple[int, ...]
    now_s: float
    lease: str = ""


class Counters(Protocol):
    """Counts the use of limits."""

    async def reserve(self, charges: Sequence[Charge], lease: str) -> Reserved:
        """Sets all `charges` aside, or none where one is over its limit. Raises Unavailable."""

    async def settle(self, charges: Sequence[Charge], reserved: Reserved, actual: Mapping[str, int]) -> None:
        """Replaces the amounts that were set aside by those `actual`ly used, by the charges' names, and gives leases
        back.

        Raises Unavailable; `give_back` then does it later.
        """

    async def renew(self, leases: Mapping[str, Sequence[Charge]]) -> None:
        """Extends leases by another `LEASE_S` seconds."""

    async def give_back(self) -> None:
        """Gives back amounts that may have been set aside for calls that were refused, and repeats settlements that
        failed.

        Raises Unavailable.
        """

    async def close(self) -> None:
        """Closes connections."""


def window_of(now_s: float, window_s: int) -> int:
    """Returns the number of the window that `now_s` (Unix time) is in."""
    return int(now_s // window_s) if window_s else 0


class MemoryCounters:
    """Counts for one router, in its memory. `clock`: Unix time, seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[tuple[str, str, int, int], int] = {}
        self._swept_s = 0.0

    async def reserve(self, charges: Sequence[Charge], lease: str) -> Reserved:
        """Sets all `charges` aside, or none."""
        now = self._clock()
        self._sweep(now)
        keys = [_key(charge, now) for charge in charges]
        used = [self._used.get(key, 0) for key in keys]
        for place, charge in enumerate(charges):
            if used[place] + charge.amount > charge.limit:
                return Reserved(place, tuple(used), now)
        for key, charge in zip(keys, charges, strict=True):
            self._used[key] = self._used.get(key, 0) + charge.amount
        return Reserved(None, tuple(self._used[key] for key in keys), now, lease)

    async def settle(self, charges: Sequence[Charge], reserved: Reserved, actual: Mapping[str, int]) -> None:
        """Replaces the amounts that were set aside by those that were used."""
        for charge in charges:
            key = _key(charge, reserved.now_s)
            if key in self._used:
                self._used[key] += _used(charge, actual) - charge.amount

    async def renew(self, leases: Mapping[str, Sequence[Charge]]) -> None:
        """Does nothing: leases here end with the router."""

    async def give_back(self) -> None:
        """Does nothing: no answer gets lost here."""

    async def close(self) -> None:
        """Does nothing: no connection is open."""

    def _sweep(self, now: float) -> None:
        if now - self._swept_s < 60:
            return
        self._swept_s = now
        old = [key for key, used in self._used.items() if (key[2] and key[3] < window_of(now, key[2])) or not used]
        for key in old:
            del self._used[key]


def _key(charge: Charge, now_s: float) -> tuple[str, str, int, int]:
    return charge.tenant, charge.name, charge.window_s, window_of(now_s, charge.window_s)


def _used(charge: Charge, actual: Mapping[str, int]) -> int:
    return actual.get(charge.name, charge.amount) if charge.window_s else 0


# Arguments: the lease, its length and the deadline, then amount, limit and window of each charge. A window of 0 is a
# set of leases, sorted by their ends. The first key remembers what was set aside until that is settled or cancelled, so
# that a script that is sent twice, since its answer was lost, sets nothing aside twice. A script that runs after its
# deadline, since Redis hung, sets nothing aside: nobody waits for it any longer. Numbers are formatted, since Lua
# shortens those of 15 digits to 1e+14.
_RESERVE = """
local now = redis.call('TIME')
local now_s, now_us = tonumber(now[1]), tonumber(now[2])
local used = {}
local noted = redis.call('GET', KEYS[1])
if noted == 'gone' then return {-1, now_s, now_us} end
if noted then
  for one in string.gmatch(noted, '%d+') do used[#used + 1] = tonumber(one) end
  return {0, now_s, now_us, unpack(used)}
end
if now_s * 1000000 + now_us > tonumber(ARGV[3]) then return {-1, now_s, now_us} end
local keys = {}
local refused = 0
for i = 1, #KEYS - 1 do
  local base = KEYS[i + 1]
  local amount, limit, window = tonumber(ARGV[3*i+1]), tonumber(ARGV[3*i+2]), tonumber(ARGV[3*i+3])
  if window == 0 then
    keys[i] = base
    redis.call('ZREMRANGEBYSCORE', base, '-inf', now_s)
    used[i] = redis.call('ZCARD', base)
  else
    keys[i] = base .. ':' .. math.floor(now_s / window)
    used[i] = tonumber(redis.call('GET', keys[i]) or '0')
  end
  if refused == 0 and used[i] + amount > limit then refused = i end
end
if refused == 0 then
  for i, key in ipairs(keys) do
    local window = tonumber(ARGV[3*i+3])
    used[i] = used[i] + tonumber(ARGV[3*i+1])
    if window == 0 then
      redis.call('ZADD', key, now_s + tonumber(ARGV[2]), ARGV[1])
      redis.call('EXPIRE', key, 86400)
    else
      redis.call('INCRBY', key, ARGV[3*i+1])
      redis.call('EXPIRE', key, 2 * window)
    end
  end
  local told = {string.format('%d', now_s)}
  for i, one in ipairs(used) do told[i + 1] = string.format('%.0f', one) end
  redis.call('SET', KEYS[1], table.concat(told, ' '), 'EX', 86400)
end
return {refused, now_s, now_us, now_s, unpack(used)}
"""
# A counter is corrected only once, and only while it exists: one that has expired must not come back below zero.
_SETTLE = """
local noted = redis.call('DEL', KEYS[1]) == 1
for i = 2, #KEYS do
  local change = ARGV[i]
  if change == 'lease' then redis.call('ZREM', KEYS[i], ARGV[1])
  elseif noted and change ~= '0' and redis.call('EXISTS', KEYS[i]) == 1 then redis.call('INCRBY', KEYS[i], change) end
end
"""
# Arguments: the lease, then amount and window of each charge.
_CANCEL = """
local noted = redis.call('GET', KEYS[1])
if not noted or noted == 'gone' then
  -- Its reservation may still be on its way, on another connection.
  redis.call('SET', KEYS[1], 'gone', 'EX', 3600)
  return 0
end
redis.call('DEL', KEYS[1])
local at_s = tonumber(string.match(noted, '%d+'))
for i = 2, #KEYS do
  local window = tonumber(ARGV[2*i-1])
  if window == 0 then redis.call('ZREM', KEYS[i], ARGV[1])
  else
    local key = KEYS[i] .. ':' .. math.floor(at_s / window)
    if redis.call('EXISTS', key) == 1 then redis.call('DECRBY', key, ARGV[2*i-2]) end
  end
end
return 1
"""
Settlement = tuple[list[str], list[str]]
_TRIES = 2
# The oldest beyond this number stay set aside until their windows or leases end: that is too much, never too little.
_MOST_LOST = 10_000


def _keep(into: dict[str, Kept], lease: str, kept: Kept) -> None:
    into[lease] = kept
    if len(into) > _MOST_LOST:
        del into[next(iter(into))]


def _pairs(charges: Sequence[Charge]) -> list[int]:
    return [number for charge in charges for number in (charge.amount, charge.window_s)]


class RedisCounters:
    """Counts for all routers together, in Redis. Each call raises Unavailable while Redis cannot be reached."""

    def __init__(self, url: str, *, prefix: str, timeout_s: float) -> None:
        # Imported here, since routers that count in memory do without it.
        import redis.asyncio
        from redis.exceptions import RedisError

        self._failures = (RedisError, OSError, TimeoutError)
        self._prefix = prefix
        self._redis = redis.asyncio.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, decode_responses=True
        )
        self._timeout_s = timeout_s
        self._reserve = self._redis.register_script(_RESERVE)
        self._settle = self._redis.register_script(_SETTLE)
        self._cancel = self._redis.register_script(_CANCEL)
        self._lost: dict[str, Sequence[Charge]] = {}
        self._unsettled: dict[str, Settlement] = {}
        self._ahead_s: float | None = None

    async def reserve(self, charges: Sequence[Charge], lease: str) -> Reserved:
        """Sets all `charges` aside, or none, even if this router gives up and Redis runs the script later."""
        try:
            for _ in range(_TRIES):
                refused, now_s, now_us, *rest = await self._tried(charges, lease)
                self._ahead_s = now_s + now_us / 1e6 - time.monotonic()
                if refused >= 0:
                    at_s, *used = rest
                    return Reserved(
                        refused - 1 if refused else None, tuple(used), float(at_s), "" if refused else lease
                    )
        except (Unavailable, asyncio.CancelledError):
            # Redis may have set it aside, and only the answer got lost.
            _keep(self._lost, lease, charges)
            raise
        raise Unavailable("Limits cannot be checked now.", retry_after_s=2)

    async def settle(self, charges: Sequence[Charge], reserved: Reserved, actual: Mapping[str, int]) -> None:
        """Replaces the amounts that were set aside by those that were used: now, or once Redis can be reached again."""
        keys = [self._note_of(charges, reserved.lease), *(self._at(charge, reserved.now_s) for charge in charges)]
        changes = [str(_used(charge, actual) - charge.amount) if charge.window_s else "lease" for charge in charges]
        try:
            await self._asked(self._settle(keys, [reserved.lease, *changes]))
        except Unavailable:
            _keep(self._unsettled, reserved.lease, (keys, changes))
            raise

    async def give_back(self) -> None:
        """Cancels reservations of calls that gave up waiting, and settles those that ended while Redis was away.

        Repeating either changes nothing more.
        """
        for lease, (keys, changes) in list(self._unsettled.items()):
            await self._asked(self._settle(keys, [lease, *changes]))
            self._unsettled.pop(lease, None)
        for lease, charges in list(self._lost.items()):
            keys = [self._note_of(charges, lease), *(self._base(charge) for charge in charges)]
            await self._asked(self._cancel(keys, [lease, *_pairs(charges)]))
            self._lost.pop(lease, None)

    async def _tried(self, charges: Sequence[Charge], lease: str) -> Any:
        """Runs the script and returns its answer.

        Its deadline, by Redis' clock, is the moment when `_asked` gives up, or earlier: the offset between the clocks
        was learned from an earlier answer, so the computed time is behind and never ahead.
        """
        if self._ahead_s is None:
            now_s, now_us = await self._asked(self._redis.time())
            self._ahead_s = now_s + now_us / 1e6 - time.monotonic()
        deadline_us = int((time.monotonic() + self._ahead_s + 2 * self._timeout_s) * 1e6)
        arguments: list[Any] = [lease, int(LEASE_S), deadline_us]
        for charge in charges:
            arguments += [charge.amount, charge.limit, charge.window_s]
        keys = [self._note_of(charges, lease), *(self._base(counted) for counted in charges)]
        return await self._asked(self._reserve(keys, arguments))

    async def renew(self, leases: Mapping[str, Sequence[Charge]]) -> None:
        """Extends leases by another `LEASE_S` seconds."""
        now_s, _ = await self._asked(self._redis.time())
        for lease, charges in leases.items():
            for charge in charges:
                if not charge.window_s:
                    change = self._redis.zadd(self._base(charge), {lease: now_s + LEASE_S}, xx=True)
                    await self._asked(change)

    async def close(self) -> None:
        """Closes connections."""
        await self._redis.aclose()

    async def _asked(self, call: Any) -> Any:
        """Awaits a call to Redis, and translates its errors."""
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                return await call
        except self._failures as error:
            raise Unavailable("Limits cannot be checked now.", retry_after_s=2) from error

    def _note_of(self, charges: Sequence[Charge], lease: str) -> str:
        return f"{self._prefix}:{{{charges[0].tenant}}}:call:{lease}"

    def _base(self, charge: Charge) -> str:
        # The braces keep a tenant's counters on one node of a cluster, where one script may touch them.
        return f"{self._prefix}:{{{charge.tenant}}}:{charge.name}"

    def _at(self, charge: Charge, now_s: float) -> str:
        base = self._base(charge)
        return f"{base}:{window_of(now_s, charge.window_s)}" if charge.window_s else base
