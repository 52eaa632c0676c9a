"""The command `patchbay cost`: forecasts costs by the configured prices."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.adapters.commands.session import DEFAULT_FILE, AsJson
from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.router.tenants.config import PriceConfig
    from patchbay.router.tenants.forecast import ForecastSpan

app = typer.Typer(no_args_is_help=True, add_completion=False)
_COLUMNS = ("first", "last", "requests", "prompt_tokens", "answer_tokens", "cost")


@app.callback()
def _cost() -> None:
    """Forecast what requests will cost."""


@app.command("forecast")
def forecast(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    requests_per_day: Annotated[float, typer.Option(min=0, help="Requests on the first day.")],
    prompt_tokens: Annotated[int, typer.Option(min=0, help="Tokens in a request's prompt.")],
    answer_tokens: Annotated[int, typer.Option(min=0, help="Tokens in its answer.")],
    growth: Annotated[float, typer.Option(min=-100, max=1000, help="Growth of requests in 30 days, in percent.")] = 0.0,
    model: Annotated[str, typer.Option(help="The route or model whose price applies.")] = "default",
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The file with `prices`; by default ./patchbay.yaml.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days to forecast.")] = 365,
    csv: Annotated[Path | None, typer.Option(help="Also write this CSV file, with one line per day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecasts costs: requests a day, times tokens, times the configuration's `prices`, in months of 30 days.

    Example: patchbay cost forecast --requests-per-day 50000 --prompt-tokens 800 --answer-tokens 200 --growth 5
    """
    from patchbay.router.tenants.forecast import Demand, by_day
    from patchbay.router.tenants.limiter import Need

    try:
        price = _price(config, model)
        spans = list(
            by_day(
                Demand(requests_per_day, Need(prompt=prompt_tokens, answer=answer_tokens), growth / 100), price, days
            )
        )
        if csv is not None:
            _write(csv, spans)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    _show(price, spans, as_json=as_json)


def _price(file: Path | None, model: str) -> "PriceConfig":
    """Returns the price of `model`, else the default price. Raises ConfigError where there is neither."""
    from patchbay.core.settings import load_yaml, parse_settings
    from patchbay.router.tenants.config import TenantsConfig

    path = file or DEFAULT_FILE
    data: dict[str, Any] = {key: value for key, value in load_yaml(path).items() if key == "prices"}
    prices = parse_settings(TenantsConfig, data, source=str(path), file=path)
    if model not in prices.prices and "default" not in prices.prices:
        raise ConfigError(
            f"{path} has no price for '{model}', and no default price.",
            hint="Add prices per million tokens: prices: {default: {prompt: 0.2, answer: 0.8}}.",
        )
    return prices.price(model)


def _row(span: "ForecastSpan") -> tuple[float, ...]:
    return (span.first, span.last, span.requests, span.prompt_tokens, span.answer_tokens, span.cost)


def _write(file: Path, spans: Sequence["ForecastSpan"]) -> None:
    """Writes a line per span. Raises ConfigError where `file` cannot be written."""
    from csv import writer

    try:
        with file.open("w", newline="", encoding="utf-8") as opened:
            made = writer(opened)
            made.writerow(("day", *_COLUMNS[2:]))
            made.writerows((span.first, *(f"{value:.6f}" for value in _row(span)[2:])) for span in spans)
    except OSError as error:
        raise ConfigError(f"Cannot write {file}: {error.strerror}.") from error


def _show(price: "PriceConfig", spans: Sequence["ForecastSpan"], *, as_json: bool) -> None:
    from patchbay.adapters.commands.output import console, print_json, table
    from patchbay.router.tenants.forecast import by_month, total

    months, everything = list(by_month(spans)), total(spans)
    if as_json:
        documents = [dict(zip(_COLUMNS, _row(span), strict=True)) for span in (*months, everything)]
        print_json({"price": price.model_dump(), "months": documents[:-1], "total": documents[-1]})
        return
    rows = [(f"{month.first}-{month.last}", *_pretty(month)) for month in months]
    columns = ("days", "requests", "prompt tokens", "answer tokens", "cost")
    console().print(table("", columns, [*rows, ("all", *_pretty(everything))]))
    console().print(
        f"By prices of {price.prompt:.15g} for a million tokens of prompts, {price.answer:.15g} of answers."
    )


def _pretty(span: "ForecastSpan") -> tuple[str, ...]:
    return (*(f"{value:,.0f}" for value in _row(span)[2:5]), f"{span.cost:,.2f}")
