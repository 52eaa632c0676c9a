"""The environment of a process that trains: nothing is reported to anybody, and nothing is fetched."""

import os
from collections.abc import Collection, Mapping
from typing import Final

# Each library's own switch.
QUIET: Final[Mapping[str, str]] = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}


def training_environment(track: Collection[str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the environment of a process that trains and reports to the trackers `track` alone."""
    made = {**environ, **QUIET}
    if "wandb" not in track:
        made["WANDB_MODE"] = "disabled"
    return made
