"""`patchbay cost forecast`, as people and programs call it."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patchbay.command import build_app

ASKED = ("--requests-per-day", "1000", "--prompt-tokens", "800", "--answer-tokens", "200")


def forecast(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["cost", "forecast", *ASKED, *arguments])


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "patchbay.yaml"
    prices = "{default: {prompt: 0.2, answer: 0.8}, support: {prompt: 1, answer: 0}}"
    file.write_text(f"base: some/model\nprices: {prices}\n")
    return file


def test_a_month_costs_requests_times_tokens_times_the_default_price(prices: Path) -> None:
    told = json.loads(forecast("--days", "60", "--json").stdout)
    assert told["total"]["cost"] == pytest.approx(60 * 1000 * (800 * 0.2 + 200 * 0.8) / 1e6)
    assert [(month["first"], month["last"]) for month in told["months"]] == [(1, 30), (31, 60)]


def test_a_route_with_a_price_of_its_own_is_forecast_by_that(prices: Path) -> None:
    told = json.loads(forecast("--days", "1", "--model", "support", "--json").stdout)
    assert told["total"]["cost"] == pytest.approx(0.8)


def test_the_csv_has_a_line_a_day_that_adds_up_to_the_table(prices: Path, tmp_path: Path) -> None:
    file = tmp_path / "days.csv"
    told = json.loads(forecast("--days", "45", "--growth", "10", "--csv", str(file), "--json").stdout)
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 45
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(told["total"]["cost"], rel=1e-6)


def test_people_get_a_table_that_says_by_which_prices(prices: Path) -> None:
    done = forecast("--days", "30")
    assert done.exit_code == 0
    assert "0.2 for a million tokens of prompts" in done.stdout


@pytest.mark.parametrize("written", ["base: some/model\n", "prices: {support: {prompt: 1}}\n", "prices: 3\n"])
def test_a_configuration_without_a_price_that_holds_is_wrong_usage_and_not_a_cost_of_nothing(
    prices: Path, written: str
) -> None:
    prices.write_text(written)
    assert forecast().exit_code == 2


def test_a_csv_that_cannot_be_written_ends_the_command(prices: Path, tmp_path: Path) -> None:
    assert forecast("--csv", str(tmp_path / "missing" / "days.csv")).exit_code == 2
