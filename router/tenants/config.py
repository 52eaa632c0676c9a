"""The configuration of tiers, prices and limits."""

from typing import Final

from pydantic import Field, field_validator, model_validator

from patchbay.core.secret import Secret
from patchbay.core.settings import Settings
from patchbay.core.tenancy import DEFAULT_TIER, Limits

_DECIMALS = 6


class DegradeConfig(Settings):
    """What a tier gives up first when the machine is busy: where its next request would wait for `when_waiting_s`, its
    answers have at most `max_tokens`, and it goes to `route` instead of its own."""

    when_waiting_s: float = Field(gt=0)
    max_tokens: int | None = Field(default=None, ge=1)
    route: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is given up."""
        return self.max_tokens is not None or self.route is not None

    @model_validator(mode="after")
    def _gives_something_up(self) -> "DegradeConfig":
        if not self.says_something:
            raise ValueError("say what is given up: 'max_tokens' or 'route'")
        return self


class TierConfig(Settings):
    """What tenants of a tier get. `weight`: their share of a busy machine, relative to others'; `priority`: told to the
    engine, a smaller number goes first; `limits`: each tenant's, where it has none of its own; `max_waiting`: requests
    of one tenant that may wait for their turn."""

    weight: float = Field(default=1, gt=0)
    priority: int = Field(default=0, ge=-1000, le=1000)
    limits: Limits = Limits()
    max_waiting: int = Field(default=256, ge=0)
    degrade: DegradeConfig | None = None


class PriceConfig(Settings):
    """What a million tokens cost, in any one currency, with six decimals at most."""

    prompt: float = Field(default=0, ge=0, le=1e9)
    answer: float = Field(default=0, ge=0, le=1e9)

    @field_validator("prompt", "answer")
    @classmethod
    def _in_whole_parts(cls, value: float) -> float:
        if round(value, _DECIMALS) != value:
            raise ValueError(f"a price has {_DECIMALS} decimals at most, so that a token costs a whole trillionth")
        return value

    def of(self, prompt_tokens: int, answer_tokens: int) -> int:
        """What so many tokens cost, in trillionths, exactly."""
        return prompt_tokens * _a_token(self.prompt) + answer_tokens * _a_token(self.answer)


def _a_token(price: float) -> int:
    """What a token costs, in trillionths, by the price of a million."""
    return round(price * 1_000_000)


FREE: Final = PriceConfig()


class CountersConfig(Settings):
    """Where limits are counted. `redis`: a URL, for all routers together; without, each router counts for itself.
    `when_down`: whether requests of tenants with limits are refused (`refuse`) or let through (`allow`) while Redis
    cannot be asked. `answer_tokens`: what is set aside for an answer, and the most that it has, where a request under a
    limit of tokens does not say; `bytes_per_token`: what is set aside for a prompt is its bytes over this; at 1 it is
    never too little."""

    redis: Secret | None = None
    prefix: str = Field(default="patchbay", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    when_down: str = Field(default="refuse", pattern="^(refuse|allow)$")
    timeout_s: float = Field(default=0.5, gt=0)
    answer_tokens: int = Field(default=1024, ge=1)
    bytes_per_token: float = Field(default=1, ge=1)


class TenantsConfig(Settings):
    """`tiers` and `prices`: the part that can be read anew while the router runs. `prices`: by route or model;
    `default` for all others."""

    tiers: dict[str, TierConfig] = Field(default_factory=dict)
    prices: dict[str, PriceConfig] = Field(default_factory=dict)

    def knows_tier(self, name: str) -> bool:
        """Whether there is a tier of that name; `default` need not be written."""
        return name in self.tiers or name == DEFAULT_TIER

    def tier(self, name: str) -> TierConfig:
        """The tier of that name, else the default one."""
        return self.tiers.get(name) or self.tiers.get(DEFAULT_TIER) or TierConfig()

    def price(self, *names: str) -> PriceConfig:
        """The first price that there is among `names`."""
        return next((self.prices[name] for name in (*names, "default") if name in self.prices), FREE)
