"""Limits of tenants: sets amounts aside before a call, settles them after it, and reports how much is left."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from patchbay.core.asgi import Headers
from patchbay.core.errors import InvalidRequest, RateLimited, Unavailable
from patchbay.core.money import BILLION, PARTS, plain
from patchbay.core.tenancy import Limits
from patchbay.router.tenants.config import FREE, CountersConfig, PriceConfig
from patchbay.router.tenants.counters import LEASE_S, Charge, Counters, Reserved

_log = logging.getLogger("patchbay.router")
_DAY_S = 86_400
_LOOK_S = 1.0
# Looks between renewals of leases, which last three times as long.
_RENEWED = int(LEASE_S / 3 / _LOOK_S)
# Stands before a route's name where the route's own limits are counted. No tenant's name can have a space.
ROUTE = "route "
_REQUESTS, _TOKENS, _CONCURRENT, _DAY_TOKENS, _DAY_MONEY = (
    "requests",
    "tokens",
    "concurrent",
    "day-tokens",
    "day-billionths",
)
_IN_WORDS: Mapping[str, str] = {
    _REQUESTS: "requests per minute",
    _TOKENS: "tokens per minute",
    _CONCURRENT: "requests at a time",
    _DAY_TOKENS: "tokens per day",
    _DAY_MONEY: "money per day",
}


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a call can take: tokens of its prompt and of its answers."""

    prompt: int
    answer: int

    @property
    def tokens(self) -> int:
        """The tokens of prompt and answers together."""
        return self.prompt + self.answer

    def cost(self, price: PriceConfig) -> int:
        """Returns its cost, in trillionths."""
        return 0 if price is FREE else price.of(self.prompt, self.answer)


NOTHING: Final = Need(prompt=0, answer=0)


@dataclass(slots=True)
class Grant:
    """The amounts that were set aside for one call. `headers`: the rate limits as OpenAI's clients read them."""

    charges: Sequence[Charge]
    reserved: Reserved
    price: PriceConfig
    headers: Headers = field(default_factory=list)


def charges_of(tenant: str, limits: Limits, need: Need, price: PriceConfig) -> list[Charge]:
    """Returns the charges of a call with `need` to its tenant's `limits`. Money is in billionths. Pure."""
    money = None if limits.money_per_day is None else round(limits.money_per_day * BILLION)
    given = (
        (_REQUESTS, 1, limits.requests_per_minute, 60),
        (_TOKENS, need.tokens, limits.tokens_per_minute, 60),
        (_CONCURRENT, 1, limits.concurrent, 0),
        (_DAY_TOKENS, need.tokens, limits.tokens_per_day, _DAY_S),
        (_DAY_MONEY, _billionths(need, price), money, _DAY_S),
    )
    return [
        Charge(tenant=tenant, name=name, amount=amount, limit=limit, window_s=window)
        for name, amount, limit, window in given
        if limit is not None
    ]


def _billionths(need: Need, price: PriceConfig) -> int:
    """Returns the charge to a limit of money, rounded up, so that it is never too little."""
    return -(-need.cost(price) // PARTS)


def headers_of(charges: Sequence[Charge], reserved: Reserved) -> Headers:
    """Returns OpenAI's headers `x-ratelimit-*` for limits per minute. Pure.

    Source: https://platform.openai.com/docs/guides/rate-limits (headers).
    """
    headers: Headers = []
    for charge, used in zip(charges, reserved.used, strict=True):
        if charge.name in (_REQUESTS, _TOKENS):
            kind = charge.name.encode()
            left, reset = max(0, charge.limit - used), _left_s(charge, reserved.now_s)
            headers.append((b"x-ratelimit-limit-" + kind, b"%d" % charge.limit))
            headers.append((b"x-ratelimit-remaining-" + kind, b"%d" % left))
            headers.append((b"x-ratelimit-reset-" + kind, b"%ds" % reset))
    return headers


def refusal_of(charges: Sequence[Charge], reserved: Reserved) -> RateLimited | InvalidRequest:
    """Returns the error for a call that is over a limit. Pure.

    A call that alone is over any of them can never succeed, so its error is not the one that asks to try again.
    """
    hopeless = next((charge for charge in charges if charge.amount > charge.limit), None)
    if hopeless is not None:
        unit, most, asked = (
            _IN_WORDS[hopeless.name],
            _shown(hopeless, hopeless.limit),
            _shown(hopeless, hopeless.amount),
        )
        message = f"This request alone may take {asked}, and the limit is {most} {unit}."
        return InvalidRequest(message, hint="Ask for a shorter answer (max_tokens), or send a shorter prompt.")
    charge = charges[reserved.refused or 0]
    used = reserved.used[reserved.refused or 0]
    numbers = (
        f"limit {_shown(charge, charge.limit)}, used {_shown(charge, used)}, asked {_shown(charge, charge.amount)}"
    )
    message = f"Rate limit reached for {_IN_WORDS[charge.name]}: {numbers}."
    kind = "requests" if charge.name in (_REQUESTS, _CONCURRENT) else "tokens"
    wait = _left_s(charge, reserved.now_s) if charge.window_s else 1
    headers, of_route = headers_of(charges, reserved), charge.tenant.startswith(ROUTE)
    return RateLimited(message, kind=kind, retry_after_s=wait, extra=headers, of_route=of_route)


def _shown(charge: Charge, amount: int) -> str:
    """Formats an amount in the limit's own unit."""
    return plain(amount) if charge.name == _DAY_MONEY else str(amount)


def _left_s(charge: Charge, now_s: float) -> int:
    """Returns the whole seconds until the window ends, at least 1."""
    return max(1, int(charge.window_s - now_s % charge.window_s + 0.999))


class Limiter:
    """Holds tenants to their limits, on one router. Its owner runs `run`."""

    def __init__(self, counters: Counters, config: CountersConfig) -> None:
        self._counters = counters
        self._refuses = config.when_down == "refuse"
        self._leases: dict[str, Sequence[Charge]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._down = False

    async def reserve(self, tenant: str, limits: Limits, need: Need, price: PriceConfig) -> Grant | None:
        """Sets aside the need of a call. Returns None where nothing is limited.

        `need`: the most tokens that it can take; `price`: of these. Raises RateLimited, InvalidRequest where the call
        alone is over a limit, and Unavailable where the counters cannot be reached and the policy is to refuse.
        """
        charges = charges_of(tenant, limits, need, price)
        if not charges:
            return None
        # An id of the router's own: a client may repeat its `x-request-id`, and then two calls would count as one.
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
        """Replaces the amounts set aside for `grant` by those `used`, in the background."""
        self._leases.pop(grant.reserved.lease, None)
        task = asyncio.get_running_loop().create_task(self._settle(grant, used))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def run(self) -> None:
        """Renews leases, gives back amounts of calls that gave up waiting, and repeats failed settlements, until
        cancelled."""
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
        """Awaits pending settlements, and closes connections."""
        await asyncio.gather(*self._settling)
        with contextlib.suppress(Unavailable):
            await self._counters.give_back()
        await self._counters.close()

    async def _settle(self, grant: Grant, used: Need) -> None:
        actual = {
            _REQUESTS: 1,
            _TOKENS: used.tokens,
            _DAY_TOKENS: used.tokens,
            _DAY_MONEY: _billionths(used, grant.price),
        }
        try:
            await self._counters.settle(grant.charges, grant.reserved, actual)
        except Unavailable:
            # The amounts stay set aside until the counters can be reached: that is too much, never too little.
            self._note(down=True)

    def _note(self, *, down: bool) -> None:
        if down != self._down:
            policy = "refused" if self._refuses else "let through"
            state = f"cannot be checked: calls under limits are {policy}" if down else "are checked again"
            _log.warning("limits %s", state)
        self._down = down
