"""A replica's configuration: what is refused, and what the message says."""

from pathlib import Path
from typing import Any

import pytest

from patchbay.core.errors import ConfigError, StartError
from patchbay.core.settings import parse_settings
from patchbay.server.config import ServerConfig
from patchbay.server.preflight import check_start
from patchbay.server.sizing import BaseShape, slot_bytes, slots_that_fit


def parse(**data: Any) -> ServerConfig:
    return parse_settings(ServerConfig, {"base": {"model": "org/model"}} | data, source="replica.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"lora": {"max_rnk": 8}}, r"unknown key 'lora.max_rnk' \(did you mean 'max_rank'\?\)"),
        ({"host": "0.0.0.0"}, "token is needed"),
        ({"lora": {"max_loras": 0}}, "at least 1"),
        ({"lora": {"max_loras": 4, "max_cpu_loras": 2}}, "max_cpu_loras must be at least max_loras"),
        ({"engine": {"arguments": {"max_loras": 3}}}, "Patchbay's own keys"),
        ({"engine": {"cpu_cores": "all"}}, "engine.cpu_cores"),
        ({"name": "a/b"}, "is no adapter name"),
    ],
)
def test_what_cannot_work_is_refused_and_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(**data)


def test_a_token_is_never_printed() -> None:
    assert "hush" not in repr(parse(token="hush"))


def test_a_folder_that_is_not_there_is_found_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="does not exist"):
        check_start(parse(base={"model": str(tmp_path / "none")}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(StartError, match=r"no config\.json"):
        check_start(parse(base={"model": str(tmp_path / "empty")}))


def test_slots_fill_their_share_of_memory_and_no_more() -> None:
    shape = BaseShape(layers=2, hidden=8, intermediate=16, attention_width=8, kv_width=4, vocabulary=32)
    cost = slot_bytes(shape, rank=4)
    assert cost == 4 * 2 * (2 * (2 * 16 + 2 * 12 + 3 * 24) + 40)
    assert slots_that_fit(cost, 10 * cost, declared=100, most=64) == 10
    assert slots_that_fit(cost, 1000 * cost, declared=100, most=64) == 64
    assert slots_that_fit(cost, 1000 * cost, declared=1, most=64) == 4
    assert slots_that_fit(cost, 0, declared=5, most=64) == 1
