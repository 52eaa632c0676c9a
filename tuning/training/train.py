"""The training of one run, in the process that has torch: from its record to the adapter in its folder."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, set_seed

from patchbay.core.errors import ConfigError, PatchbayError
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.training.callback import RunCallback, Tell, WatchedRun
from patchbay.tuning.training.checkpoints import SealedCheckpoint, remove_unsealed, sealed, write_text
from patchbay.tuning.training.data import RunRows, read_all
from patchbay.tuning.training.history import best_step, losses, read_history, write_history
from patchbay.tuning.training.losses import chat_loss, peak_bytes
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.result import TrainedAdapter, write_result
from patchbay.tuning.training.rows import PlacedRow, Row
from patchbay.tuning.training.runs import CHECKPOINTS, LEFT_OUT_FILE, RunRecord, read_record, update
from patchbay.tuning.training.shape import read_shape
from patchbay.tuning.training.tokens import ChatEncoder, Fitted, fit_chats, fit_preferences, stops
from patchbay.tuning.training.trainers import Parts, build, set_intervals, total_steps


class Diverged(PatchbayError):
    """A run's loss diverged, so that it leaves no adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The rows of a run, encoded."""

    train: Fitted
    validation: Fitted | None
    general: Fitted | None


def train(folder: Path, tell: Tell) -> None:
    """Trains the run in `folder` from its beginning or its last whole checkpoint, and leaves the adapter there.

    `tell`: of an event, by its name and its fields. Raises ConfigError where recipe, rows or base do not fit, Diverged
    where the loss did.
    """
    began = time.monotonic()
    record = read_record(folder)
    if is_first():
        record = update(folder, state="finishing" if record.state == "finishing" else "running", fault=None)
    recipe = record.parsed()
    tell("loading", base=str(recipe.base))
    tokenizer = served_tokenizer(recipe.base)
    rows = read_all(recipe, record.sources())
    encoded = encode(recipe, rows, tokenizer)
    if is_first():
        note_rows(folder, encoded, tokenizer, tell)
    with reproducible(recipe.seed, record.threads):
        session = TrainingSession.open(folder, record, encoded, tokenizer, tell)
        session.run()
        session.finish(chats_of(rows.validation or rows.train), time.monotonic() - began)


def is_first() -> bool:
    """Says whether this process is the only one of its run, or the first of several: the one that keeps the record."""
    return os.environ.get("RANK", "0") == "0"


def chats_of(rows: Sequence[PlacedRow]) -> list[Row]:
    """Returns rows of any method as chats whose last message is the answer that is wanted."""
    found = [one.row for one in rows if one.row.get("label", True)]
    return [
        row if "messages" in row else {"messages": [*row["prompt"], *(row.get("chosen") or row["completion"])]}
        for row in found
    ]


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Sets the seed, the number of threads and, on a CPU, deterministic kernels: sums depend on them. The last two are
    restored afterwards."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)
    set_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def encode(recipe: TrainingRecipe, rows: RunRows, tokenizer: Any) -> Encoded:
    """Encodes the rows of a run. Raises ConfigError."""
    encoder, data = ChatEncoder(tokenizer), recipe.data

    def fit(part: Sequence[Any], *, chats: bool) -> Fitted | None:
        if not part:
            return None
        if chats:
            return fit_chats(part, encoder, recipe.loss.on, data.max_length, data.too_long)
        return fit_preferences(part, encoder, data.max_length, data.too_long)

    chats = recipe.method == "sft"
    train_rows = fit(rows.train, chats=chats)
    if train_rows is None:
        raise AssertionError("rows without any are refused where they are read")
    return Encoded(
        train=train_rows, validation=fit(rows.validation, chats=chats), general=fit(rows.general, chats=True)
    )


def note_rows(folder: Path, encoded: Encoded, tokenizer: Any, tell: Tell) -> None:
    """Notes how many rows there are, lists those that were too long, and warns where answers do not end."""
    parts = {"train": encoded.train, "validation": encoded.validation, "general": encoded.general}
    counts = {name: len(part.rows) for name, part in parts.items() if part}
    long = [one for part in parts.values() if part for one in part.long]
    lines = (dumps({"row": str(one.place), "tokens": one.tokens, "fate": one.fate}) for one in long)
    write_text(folder / LEFT_OUT_FILE, "".join(f"{line}\n" for line in lines))
    update(folder, rows=counts | {"too_long": len(long)})
    tell("rows", **counts, too_long=len(long), tokens=sum(encoded.train.lengths))
    if long:
        words = f"{len(long)} rows are longer than data.max_length ({long[0].fate}): {LEFT_OUT_FILE} lists them."
        tell("warning", step=0, kind="length", words=words)
    if "labels" in encoded.train.rows[0] and not stops(encoded.train, [tokenizer.eos_token_id]):
        words = "Most answers do not end with the tokenizer's end token: the model may not learn to stop."
        tell("warning", step=0, kind="template", words=words)


class TrainingSession:
    """One process's work on a run: the trainer, and what it leaves."""

    def __init__(
        self, recipe: TrainingRecipe, trainer: Any, watched: WatchedRun, start: SealedCheckpoint | None
    ) -> None:
        self._folder = watched.folder
        self._recipe = recipe
        self._trainer = trainer
        self._watched = watched
        self._start = start

    @classmethod
    def open(cls, folder: Path, record: RunRecord, encoded: Encoded, tokenizer: Any, tell: Tell) -> "TrainingSession":
        """Builds the trainer over the base that serves, with the history until the checkpoint that it goes on from."""
        recipe = record.parsed()
        if is_first():
            remove_unsealed(folder / CHECKPOINTS)
        found = sealed(folder / CHECKPOINTS)
        start = found[-1] if found else None
        watched = WatchedRun(folder=folder, settings=recipe.watch, every=1, tell=tell)
        parts = Parts(
            model=load_base(recipe),
            tokenizer=tokenizer,
            train=encoded.train,
            validation=encoded.validation,
            folder=folder / CHECKPOINTS,
            cpu=not torch.cuda.is_available(),
            resumed=start is not None,
        )
        trainer = build(recipe, parts, callbacks(recipe, watched))
        steps = total_steps(trainer, recipe)
        watched.every = set_intervals(trainer, recipe, steps)
        watched.writes = trainer.is_world_process_zero()
        watched.general = general_loss(encoded.general, recipe.schedule.batch)
        session = cls(recipe, trainer, watched, start)
        session.note(steps)
        return session

    def note(self, steps: int) -> None:
        """Cuts the history back to the checkpoint that the run goes on from, and notes how large the run is."""
        begun = self._start.step if self._start else -1
        self._watched.points = [point for point in read_history(self._folder) if point.step <= begun]
        if not self._watched.writes:
            return
        write_history(self._folder, self._watched.points)
        trainable = sum(one.numel() for one in self._trainer.model.parameters() if one.requires_grad)
        resumed = read_record(self._folder).resumed + (self._start is not None)
        update(self._folder, steps=steps, trainable=trainable, resumed=resumed)

    def run(self) -> None:
        """Trains. Raises Diverged."""
        record, start = read_record(self._folder), self._start
        # The trainer would do one step more where all were done.
        done = record.state == "finishing" or (start is not None and start.step >= (record.steps or 0))
        if done and start is not None:
            return
        self._trainer.train(resume_from_checkpoint=str(start.folder) if start else None)
        self._conclude()

    def _conclude(self) -> None:
        """Notes what the training found. Raises Diverged."""
        findings = self._watched.findings
        if self._watched.writes:
            update(self._folder, findings=tuple(one.words for one in findings.values()), checkpoints=self._saved())
        if "divergence" in findings:
            if self._watched.writes:
                update(self._folder, state="diverged")
            raise Diverged(findings["divergence"].words)
        if self._watched.writes:
            update(self._folder, state="finishing")

    def finish(self, chats: Sequence[Row], seconds: float) -> None:
        """Takes the best checkpoint, measures it as it will serve, and writes the folder that `adapters push` takes.

        `chats`: rows by which replicas prove what they serve; `seconds`: that the run took.
        """
        self._watched.tell("saving")
        self._trainer.accelerator.wait_for_everyone()
        step = best_step(self._watched.points, self._saved())
        checkpoint = self._folder / CHECKPOINTS / f"checkpoint-{step}"
        metrics = {"best_step": float(step or 0), **self._measured(checkpoint, step or 0)}
        if not self._watched.writes:
            return
        update(self._folder, metrics=metrics, used={"seconds": round(seconds, 1), "memory_bytes": peak_bytes()})
        trained = TrainedAdapter(
            checkpoint=checkpoint,
            model=None if self._in_pieces else self._trainer.model,
            tokenizer=self._trainer.processing_class,
            recipe=self._recipe,
            points=self._watched.points,
            chats=chats,
        )
        write_result(self._folder, trained)
        self._watched.tell("done", folder=str(self._folder), metrics=metrics)

    @property
    def _in_pieces(self) -> bool:
        """Whether the model is cut over several GPUs, so that no checkpoint is loaded into it again."""
        return bool(self._trainer.is_fsdp_enabled or self._trainer.is_deepspeed_enabled)

    def _saved(self) -> tuple[int, ...]:
        return tuple(one.step for one in sealed(self._folder / CHECKPOINTS))

    def _measured(self, checkpoint: Path, step: int) -> dict[str, float]:
        """Measures the adapter of a checkpoint as it is written, rounded to bfloat16; of a model in pieces, takes what
        was measured at its step. All processes of a run do this together."""
        kinds = {"validation": self._trainer.eval_dataset is not None, "general": self._watched.general is not None}
        if self._in_pieces:
            return {
                f"{kind}_loss": dict(losses(self._watched.points, kind))[step] for kind, there in kinds.items() if there
            }
        found: dict[str, float] = {}
        load_adapter(self._trainer.model, checkpoint)
        self._trainer.model.eval()
        if kinds["validation"]:
            self._trainer.callback_handler.callbacks = []
            found["validation_loss"] = float(self._trainer.evaluate()["eval_loss"])
        if self._watched.general is not None:
            found["general_loss"] = self._watched.general(self._trainer.model)
        return found


def load_base(recipe: TrainingRecipe) -> Any:
    """Loads the base: on a GPU in bfloat16 where the recipe computes in it, else in float32; for qlora, an unquantized
    base as nf4. Raises ConfigError."""
    on_gpu = torch.cuda.is_available()
    if recipe.adapter.kind == "qlora" and not read_shape(recipe.base).quantized:
        return nf4_base(recipe.base, on_gpu=on_gpu)
    half = on_gpu and recipe.compute.precision == "bf16"
    model = served_model(recipe.base, dtype=torch.bfloat16 if half else torch.float32)
    model.config.use_cache = False
    return model


def nf4_base(folder: Path, *, on_gpu: bool) -> Any:
    """Loads an unquantized base as nf4, doubly quantized (Dettmers et al., arXiv 2305.14314). Raises ConfigError where
    that cannot be done here."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if not on_gpu:
        raise ConfigError(
            f"{folder} is not quantized, and a CPU has no nf4.",
            hint="Use adapter.kind: lora, or the int4 base that serves.",
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    try:
        return AutoModelForCausalLM.from_pretrained(
            str(folder), quantization_config=config, local_files_only=True, device_map={"": torch.cuda.current_device()}
        )
    except ImportError as error:
        raise ConfigError(
            "nf4 needs the package 'bitsandbytes'.", hint="Install it: pip install bitsandbytes."
        ) from error


def callbacks(recipe: TrainingRecipe, watched: WatchedRun) -> list[TrainerCallback]:
    """Returns the trainer's callbacks: the record's, and the one that stops early."""
    made: list[TrainerCallback] = [RunCallback(watched)]
    if recipe.watch.patience is not None:
        made.append(EarlyStoppingCallback(early_stopping_patience=recipe.watch.patience))
    return made


def general_loss(general: Fitted | None, batch: int) -> Callable[[Any], float] | None:
    """Returns what measures a model's loss on general rows, None where there are none."""
    return None if general is None else lambda model: chat_loss(model, general.rows, batch)


def load_adapter(model: Any, checkpoint: Path) -> None:
    """Loads a checkpoint's adapter into `model`, rounded to bfloat16, as it is written and served."""
    from peft import load_peft_weights, set_peft_model_state_dict

    device = str(next(model.parameters()).device)
    weights = load_peft_weights(str(checkpoint), device=device)
    set_peft_model_state_dict(model, {name: tensor.bfloat16().float() for name, tensor in weights.items()})
