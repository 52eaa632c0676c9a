"""Configuration of tiers, prices and limits."""

from typing import Final

from pydantic import Field, field_validator, model_validator

from patchbay.core.secret import Secret
from patchbay.core.settings import Settings
from patchbay.core.tenancy import DEFAULT_TIER, Limits

_DECIMALS = 6


class DegradeConfig(Settings):
    """Degrades a tier's requests while the machine is busy. `when_waiting_s`: the expected wait, in seconds, from which
    this applies; `max_tokens`: the most tokens that an answer then has; `route`: the route that requests then take
    instead of their own."""

    when_waiting_s: float = Field(gt=0)
    max_tokens: int | None = Field(default=None, ge=1)
    route: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is degraded."""
        return self.max_tokens is not None or self.route is not None

    @model_validator(mode="after")
    def _gives_something_up(self) -> "DegradeConfig":
        if not self.says_something:
            raise ValueError("say what changes when the machine is busy: give 'max_tokens' or 'route'")
        return self


class TierConfig(Settings):
    """Sets what tenants of a tier get. `weight`: their share of a busy machine, relative to others'; `priority`: sent
    to the engine, where a smaller number goes first; `limits`: of each tenant that has none of its own; `max_waiting`:
    the most requests of one tenant that wait for their turn."""

    weight: float = Field(default=1, gt=0)
    priority: int = Field(default=0, ge=-1000, le=1000)
    limits: Limits = Limits()
    max_waiting: int = Field(default=256, ge=0)
    degrade: DegradeConfig | None = None


class PriceConfig(Settings):
    """Prices of a million tokens, in any one currency, with at most six decimals."""

    prompt: float = Field(default=0, ge=0, le=1e9)
    answer: float = Field(default=0, ge=0, le=1e9)

    @field_validator("prompt", "answer")
    @classmethod
    def _in_whole_parts(cls, value: float) -> float:
        if round(value, _DECIMALS) != value:
            raise ValueError(f"a price has at most {_DECIMALS} decimals, so that a token costs whole trillionths")
        return value

    def of(self, prompt_tokens: int, answer_tokens: int) -> int:
        """Returns the cost of so many tokens, in trillionths, exactly."""
        return prompt_tokens * _a_token(self.prompt) + answer_tokens * _a_token(self.answer)


def _a_token(price: float) -> int:
    """Returns the cost of a token, in trillionths, by the price of a million."""
    return round(price * 1_000_000)


FREE: Final = PriceConfig()


class CountersConfig(Settings):
    """Counts what is used against limits. `redis`: the URL of a Redis that counts for all routers together; without it
    each router counts for itself; `prefix`: of its keys; `when_down`: whether requests of tenants with limits are
    refused (`refuse`) or let through (`allow`) while Redis cannot be reached; `timeout_s`: the time limit of one call
    to Redis, in seconds; `answer_tokens`: the tokens that are set aside for an answer, and the most that it gets, where
    a request under a limit of tokens does not say; `bytes_per_token`: a prompt's bytes are divided by this for the
    tokens to set aside; at 1 they always suffice."""

    redis: Secret | None = None
    prefix: str = Field(default="patchbay", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    when_down: str = Field(default="refuse", pattern="^(refuse|allow)$")
    timeout_s: float = Field(default=0.5, gt=0)
    answer_tokens: int = Field(default=1024, ge=1)
    bytes_per_token: float = Field(default=1, ge=1)


class TenantsConfig(Settings):
    """Holds `tiers` and `prices`, the part that a reload reads again. `prices`: by route or model; `default` for all
    others."""

    tiers: dict[str, TierConfig] = Field(default_factory=dict)
    prices: dict[str, PriceConfig] = Field(default_factory=dict)

    def knows_tier(self, name: str) -> bool:
        """Whether there is a tier of that name; `default` need not be written."""
        return name in self.tiers or name == DEFAULT_TIER

    def tier(self, name: str) -> TierConfig:
        """Returns the tier of that name, else the default one."""
        return self.tiers.get(name) or self.tiers.get(DEFAULT_TIER) or TierConfig()

    def price(self, *names: str) -> PriceConfig:
        """Returns the first price that exists among `names`, else the default one."""
        if not self.prices:
            return FREE
        return next((self.prices[name] for name in (*names, "default") if name in self.prices), FREE)
