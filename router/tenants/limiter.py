"""Holds tenants to their limits: sets aside before a call, settles after it, and tells how much is left."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.asgi import Headers
from adapters.errors import RateLimited, Unavailable
from adapters.tenancy import Limits
from router.tenants.config import CountersConfig, PriceConfig
from router.tenants.counters import LEASE_S, Charge, Counters, Reserved

_log = logging.getLogger("patchbay.router")
_DAY_S = 86_400
_LOOK_S = 1.0
# How many looks there are between renewals of leases, which last for three times as long.
_RENEWED = int(LEASE_S / 3 / _LOOK_S)
_MICRO = 1_000_000
# What goes before a route's name where a route's own limits are counted: no tenant can be called so.
ROUTE = "route "
_REQUESTS, _TOKENS, _CONCURRENT, _DAY_TOKENS, _DAY_MONEY = "requests", "tokens", "concurrent", "day-tokens", "day-money"
_SAID: Mapping[str, str] = {
    _REQUESTS: "requests per minute",
    _TOKENS: "tokens per minute",
    _CONCURRENT: "requests at a time",
    _DAY_TOKENS: "tokens per day",
    _DAY_MONEY: "money per day",
}


@dataclass(frozen=True, slots=True)
class Need:
    """What a call can take at most: tokens of its prompt and of its answers."""

    prompt: int
    answer: int

    @property
    def tokens(self) -> int:
        """Both."""
        return self.prompt + self.answer

    def micros(self, price: PriceConfig) -> int:
        """What it costs, in millionths."""
        return round(self.prompt * price.prompt + self.answer * price.answer)


@dataclass(slots=True)
class Grant:
    """What was set aside for one call. `headers`: what OpenAI's clients are told of it."""

    charges: Sequence[Charge]
    reserved: Reserved
    price: PriceConfig
    headers: Headers = field(default_factory=list)


def charges_of(tenant: str, limits: Limits, need: Need, price: PriceConfig) -> list[Charge]:
    """What a call with `need` is charged to its tenant's `limits`. Pure."""
    money = None if limits.money_per_day is None else round(limits.money_per_day * _MICRO)
    given = (
        (_REQUESTS, 1, limits.requests_per_minute, 60),
        (_TOKENS, need.tokens, limits.tokens_per_minute, 60),
        (_CONCURRENT, 1, limits.concurrent, 0),
        (_DAY_TOKENS, need.tokens, limits.tokens_per_day, _DAY_S),
        (_DAY_MONEY, need.micros(price), money, _DAY_S),
    )
    return [Charge(tenant, name, amount, limit, window) for name, amount, limit, window in given if limit is not None]


def headers_of(charges: Sequence[Charge], reserved: Reserved) -> Headers:
    """OpenAI's `x-ratelimit-*` for what is limited a minute. Pure.

    Source: https://platform.openai.com/docs/guides/rate-limits (headers).
    """
    told: Headers = []
    for charge, used in zip(charges, reserved.used, strict=True):
        if charge.name in (_REQUESTS, _TOKENS):
            kind = charge.name.encode()
            left, reset = max(0, charge.limit - used), _left_s(charge, reserved.now_s)
            told.append((b"x-ratelimit-limit-" + kind, b"%d" % charge.limit))
            told.append((b"x-ratelimit-remaining-" + kind, b"%d" % left))
            told.append((b"x-ratelimit-reset-" + kind, b"%ds" % reset))
    return told


def refusal_of(charges: Sequence[Charge], reserved: Reserved) -> RateLimited:
    """The error for a call that is over a limit. Pure."""
    charge = charges[reserved.refused or 0]
    used = reserved.used[reserved.refused or 0]
    what = _SAID[charge.name]
    unit = _MICRO if charge.name == _DAY_MONEY else 1
    numbers = f"limit {charge.limit / unit:g}, used {used / unit:g}, asked {charge.amount / unit:g}"
    said = f"Rate limit reached for {what}: {numbers}."
    hopeless = charge.amount > charge.limit
    hint = "This request alone is over the limit: ask for fewer tokens." if hopeless else None
    kind = "requests" if charge.name in (_REQUESTS, _CONCURRENT) else "tokens"
    wait = _left_s(charge, reserved.now_s) if charge.window_s else 1
    told, of_route = headers_of(charges, reserved), charge.tenant.startswith(ROUTE)
    return RateLimited(said, kind=kind, retry_after_s=wait, hint=hint, extra=told, of_route=of_route)


def _left_s(charge: Charge, now_s: float) -> int:
    """Whole seconds until the window ends, at least 1."""
    return max(1, int(charge.window_s - now_s % charge.window_s + 0.999))


class Limiter:
    """One router's. Its owner runs `run`."""

    def __init__(self, counters: Counters, config: CountersConfig) -> None:
        self._counters = counters
        self._refuses = config.when_down == "refuse"
        self._leases: dict[str, Sequence[Charge]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._down = False

    async def reserve(self, tenant: str, limits: Limits, need: Need, price: PriceConfig) -> Grant | None:
        """Sets aside what a call needs; None where nothing is limited. Raises RateLimited, and Unavailable where the
        counters cannot be asked and the policy is to refuse."""
        charges = charges_of(tenant, limits, need, price)
        if not charges:
            return None
        # The router's own: a client's `x-request-id` may come again, and then two calls would be one.
        lease = secrets.token_hex(16)
        try:
            reserved = await self._counters.reserve(charges, lease)
        except Unavailable:
            self._note(down=True)
            if self._refuses:
                raise
            return None
        self._note(down=False)
        if reserved.refused is not None:
            raise refusal_of(charges, reserved)
        if any(not charge.window_s for charge in charges):
            self._leases[lease] = charges
        return Grant(charges, reserved, price, headers_of(charges, reserved))

    def settle(self, grant: Grant, used: Need) -> None:
        """Puts what was `used` in place of what was set aside, in the background."""
        self._leases.pop(grant.reserved.lease, None)
        task = asyncio.get_running_loop().create_task(self._settle(grant, used))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def run(self) -> None:
        """Keeps what is held at a time, and gives back what calls gave up waiting for, until cancelled."""
        turn = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            turn += 1
            try:
                await self._counters.give_back()
                if self._leases and turn % _RENEWED == 0:
                    await self._counters.renew(dict(self._leases))
            except Unavailable:
                self._note(down=True)

    async def close(self) -> None:
        """Awaits what is being settled, and ends connections."""
        await asyncio.gather(*self._settling)
        with contextlib.suppress(Unavailable):
            await self._counters.give_back()
        await self._counters.close()

    async def _settle(self, grant: Grant, used: Need) -> None:
        actual = {
            _REQUESTS: 1,
            _TOKENS: used.tokens,
            _DAY_TOKENS: used.tokens,
            _DAY_MONEY: used.micros(grant.price),
        }
        try:
            await self._counters.settle(grant.charges, grant.reserved, actual)
        except Unavailable:
            # What was set aside stays so until its window ends: too much, never too little.
            self._note(down=True)

    def _note(self, *, down: bool) -> None:
        if down != self._down:
            policy = "refused" if self._refuses else "let through"
            now = f"cannot be checked: calls under them are {policy}" if down else "are checked again"
            _log.warning("limits %s", now)
        self._down = down
