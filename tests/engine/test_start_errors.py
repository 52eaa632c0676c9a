"""A replica that cannot serve what it was asked to ends with one clear line and exit code 1."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import LlamaConfig, LlamaForCausalLM

from patchbay.tuning.demo.build import DemoModels
from tests.engine.conftest import free_ports

pytestmark = pytest.mark.engine


def start(folder: Path, **sections: Any) -> subprocess.CompletedProcess[str]:
    file = folder / "replica.yaml"
    engine = {"enforce_eager": True}
    # The bound on its end is another test's matter: beside other work the engine's takes longer.
    ends = {"end_timeout_s": 120}
    file.write_text(yaml.safe_dump({"port": free_ports(1)[0], "engine": engine} | ends | sections))
    return subprocess.run(
        [sys.executable, "-m", "patchbay.server", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"PATCHBAY_DATA_DIR": str(folder / "data")},
    )


def says_in_one_line(ended: subprocess.CompletedProcess[str], *parts: str) -> None:
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    assert ended.returncode == 1, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert all(part in lines[0] for part in parts), lines[0]


def test_quantization_that_was_asked_for_but_not_applied(tmp_path: Path, demo_models: DemoModels) -> None:
    base = tmp_path / "plain"
    shutil.copytree(demo_models.base, base, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    shape = LlamaConfig(
        vocab_size=1536, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(shape).save_pretrained(base)
    ended = start(tmp_path, base={"model": str(base), "quantization": "int8_per_channel_weight_only"})
    says_in_one_line(ended, "int8_per_channel_weight_only", "none of the 4 linear layers", "base.quantization")


def test_a_base_whose_weights_are_cut_short(tmp_path: Path, demo_models: DemoModels) -> None:
    base = tmp_path / "cut"
    shutil.copytree(demo_models.base, base)
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    says_in_one_line(start(tmp_path, base={"model": str(base)}), f"base model {base} does not load", "-v")


def test_what_can_be_known_at_once_is_said_at_once(tmp_path: Path, demo_models: DemoModels) -> None:
    started = time.monotonic()
    says_in_one_line(start(tmp_path, base={"model": "./nowhere"}), f"{tmp_path}/nowhere does not exist")
    ports = [part for name in ("--port", "--admin-port") for part in (name, str(free_ports(1)[0]))]
    up = [sys.executable, "-m", "patchbay", "up", "--base", str(demo_models.base), *ports]
    ended = subprocess.run(
        [*up, "--adapter", f"sql={tmp_path}/none"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PATCHBAY_DATA_DIR": str(tmp_path / "data")},
    )
    assert ended.returncode == 2
    assert "'adapters.sql.source': there is no folder" in ended.stderr
    assert time.monotonic() - started < 20, "vLLM was imported first"
