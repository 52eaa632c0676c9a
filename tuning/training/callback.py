"""The trainer's callback: it writes the history, seals checkpoints, watches, and tells of each step."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from patchbay.core.disk import sync
from patchbay.tuning.training.checkpoints import seal
from patchbay.tuning.training.history import HISTORY_FILE, HistoryPoint, append
from patchbay.tuning.training.recipe import WatchSection
from patchbay.tuning.training.watch import WatchFinding, look

Tell = Callable[..., None]
_ACCURACIES = ("rewards/accuracies", "eval_rewards/accuracies")


@dataclass(kw_only=True)
class WatchedRun:
    """A run as the callback sees it. `general`: measures the loss on general rows, None where there are none; `points`:
    the history until now; `tell`: of an event, by its name and its fields; `writes`: whether this process keeps the
    record, as one of many does."""

    folder: Path
    settings: WatchSection
    every: int
    tell: Tell
    general: Callable[[Any], float] | None = None
    points: list[HistoryPoint] = field(default_factory=list)
    findings: dict[str, WatchFinding] = field(default_factory=dict)
    writes: bool = True
    began: float = field(default_factory=time.monotonic)


class RunCallback(TrainerCallback):  # type: ignore[misc]
    """Keeps the record of a run while the trainer trains."""

    def __init__(self, watched: WatchedRun) -> None:
        self._run = watched

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measures the base's loss on general rows, before anything is learned."""
        self._run.tell("began", step=state.global_step, steps=state.max_steps, processes=args.world_size)
        if state.global_step == 0:
            self._measure_general(state, control, kwargs["model"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measures general rows as often as the validation is, and has the last step evaluated and kept."""
        last = state.global_step >= state.max_steps
        if last:
            control.should_evaluate = args.eval_strategy != "no"
            control.should_save = True
        if last or state.global_step % self._run.every == 0:
            self._measure_general(state, control, kwargs["model"])

    def on_log(self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Notes the training loss."""
        logs = kwargs.get("logs") or {}
        if "loss" not in logs:
            return
        point = HistoryPoint(
            step=state.global_step,
            loss=float(logs["loss"]),
            rate=logs.get("learning_rate"),
            gradient=_number(logs.get("grad_norm")),
            accuracy=_accuracy(logs),
            seconds=self._seconds(),
        )
        self._note(point, control)
        self._run.tell("step", **_finite(point.as_json()))

    def on_evaluate(
        self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Notes the validation loss."""
        metrics = kwargs["metrics"]
        point = HistoryPoint(
            step=state.global_step,
            validation=float(metrics["eval_loss"]),
            accuracy=_accuracy(metrics),
            seconds=self._seconds(),
        )
        self._note(point, control)
        self._run.tell("evaluation", **_finite(point.as_json()))

    def on_save(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_kwargs: Any) -> None:
        """Seals the checkpoint that was just written, once the history until it is on the disk."""
        if not self._run.writes:
            return
        sync(self._run.folder / HISTORY_FILE)
        seal(Path(args.output_dir or "") / f"checkpoint-{state.global_step}", state.global_step)
        self._run.tell("checkpoint", step=state.global_step)

    def _measure_general(self, state: TrainerState, control: TrainerControl, model: Any) -> None:
        if self._run.general is None:
            return
        point = HistoryPoint(step=state.global_step, general=self._run.general(model), seconds=self._seconds())
        self._note(point, control)
        self._run.tell("evaluation", **_finite(point.as_json()))

    def _note(self, point: HistoryPoint, control: TrainerControl) -> None:
        run = self._run
        run.points.append(point)
        if run.writes:
            append(run.folder, point)
        for finding in look(run.points, run.settings):
            if finding.kind not in run.findings:
                run.tell("warning", step=finding.step, kind=finding.kind, words=finding.words)
            run.findings[finding.kind] = finding
            if finding.ends:
                control.should_training_stop = True

    def _seconds(self) -> float:
        return round(time.monotonic() - self._run.began, 3)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _accuracy(logs: Mapping[str, Any]) -> float | None:
    return next((float(logs[name]) for name in _ACCURACIES if name in logs), None)


def _finite(fields: Mapping[str, float | int]) -> dict[str, float | int | None]:
    """Replaces what JSON cannot hold."""
    return {name: value if math.isfinite(value) else None for name, value in fields.items()}
