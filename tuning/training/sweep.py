"""Sweeps: many runs of one recipe, whose keys Optuna chooses, kept in a database so that they can be gone on with."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from patchbay.core.errors import ConfigError, PatchbayError, RegistryError
from patchbay.tuning.training.process import Event, WorkerEnded, run_worker
from patchbay.tuning.training.recipe import TrainingRecipe
from patchbay.tuning.training.runs import RunRecord, locked, read_record
from patchbay.tuning.training.space import SweepSpace, with_values
from patchbay.tuning.training.start import open_run, wanted_record

if TYPE_CHECKING:
    import optuna

# A trial whose process says nothing for so long is taken for dead, and is tried again from its last checkpoint.
_BEAT_S: Final = 15
_DEAD_S: Final = 60
_SHORT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One trial. `state`: complete, pruned or fail; `loss`: of validation, None where it has none."""

    number: int
    state: str
    values: Mapping[str, Any]
    loss: float | None
    general: float | None
    seconds: float | None
    folder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep of `recipe` over `space` in `folder`. `storage`: the database's URL; `workers`: runs at a time; `tell`:
    is given each trial that ends."""

    recipe: TrainingRecipe
    space: SweepSpace
    folder: Path
    storage: str
    workers: int
    tell: Callable[[TrialResult], None]

    def run(self) -> list[TrialResult]:
        """Runs the trials that are missing, and returns all. Raises ConfigError, RegistryError."""
        import optuna
        from optuna.trial import TrialState

        if not (self.recipe.data.validation or self.recipe.data.share):
            raise ConfigError("A sweep needs data.validation or data.share, to compare its trials by.")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _translated():
            study = self._study()
            # One that failed may be tried again, so it does not count.
            counted = (TrialState.COMPLETE, TrialState.PRUNED)
            enough = optuna.study.MaxTrialsCallback(self.space.runs, states=counted)
            if len(study.get_trials(deepcopy=False, states=counted)) < self.space.runs:
                study.optimize(
                    self._trial,
                    n_trials=self.space.runs,
                    n_jobs=self.workers,
                    catch=(PatchbayError,),
                    callbacks=[enough, lambda _study, trial: self.tell(result_of(trial))],
                )
            return results(study)

    def _study(self) -> "optuna.Study":
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                self.storage,
                heartbeat_interval=_BEAT_S,
                grace_period=_DEAD_S,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
            )
        pruner = optuna.pruners.MedianPruner(n_warmup_steps=1) if self.space.prune else optuna.pruners.NopPruner()
        return optuna.create_study(
            study_name=self.recipe.name,
            storage=storage,
            sampler=self._sampler(),
            pruner=pruner,
            direction="minimize",
            load_if_exists=True,
        )

    def _sampler(self) -> "optuna.samplers.BaseSampler":
        import optuna

        seed = self.recipe.seed
        if self.space.sampler == "grid":
            grid = {key: [json.dumps(value) for value in one.choose] for key, one in self.space.space.items()}
            return optuna.samplers.GridSampler(grid, seed=seed)
        if self.space.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed)

    def _trial(self, trial: "optuna.Trial") -> float:
        values = suggested(trial, self.space)
        recipe = self._recipe_of(values)
        folder = recipe.output or self.folder
        trial.set_user_attr("values", values)
        trial.set_user_attr("folder", str(folder))
        with locked(folder):
            step, _ = open_run(folder, wanted_record(recipe, f"patchbay tune sweep, trial {trial.number}"))
            if step != "done":
                self._train(trial, recipe, folder)
        return _measured(trial, read_record(folder))

    def _recipe_of(self, values: Mapping[str, Any]) -> TrainingRecipe:
        """The recipe of a trial. Its folder is named by its values, so that a trial that is tried again goes on."""
        short = hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:_SHORT]
        recipe = with_values(self.recipe, values)
        steps = {"schedule": recipe.schedule.model_copy(update={"steps": self.space.steps})} if self.space.steps else {}
        name = f"{self.recipe.name[:50]}-{short}"
        return recipe.model_copy(update={"name": name, "output": self.folder / name, **steps})

    def _train(self, trial: "optuna.Trial", recipe: TrainingRecipe, folder: Path) -> None:
        import optuna

        def take(event: Event) -> None:
            if event["event"] == "evaluation" and event.get("validation") is not None:
                trial.report(event["validation"], event["step"])
                if trial.should_prune():
                    raise optuna.TrialPruned

        try:
            code = run_worker(folder, recipe, take)
        except WorkerEnded:
            code = 1
        if code:
            raise PatchbayError(read_record(folder).fault or f"The trial in {folder} ended with {code}.")


def suggested(trial: "optuna.Trial", space: SweepSpace) -> dict[str, Any]:
    """Returns the values that Optuna suggests for the keys of `space`."""
    values: dict[str, Any] = {}
    for key, one in space.space.items():
        if one.choose:
            # Lists are no categories to Optuna; their JSON is.
            values[key] = json.loads(trial.suggest_categorical(key, [json.dumps(value) for value in one.choose]))
        elif one.whole:
            values[key] = trial.suggest_int(key, int(one.low or 0), int(one.high or 0), log=one.log)
        else:
            values[key] = trial.suggest_float(key, one.low or 0.0, one.high or 0.0, log=one.log)
    return values


def _measured(trial: "optuna.Trial", record: RunRecord) -> float:
    trial.set_user_attr("general", record.metrics.get("general_loss"))
    trial.set_user_attr("seconds", record.used.get("seconds"))
    return record.metrics["validation_loss"]


def result_of(trial: "optuna.trial.FrozenTrial") -> TrialResult:
    """Returns what is told of a trial."""
    attributes = trial.user_attrs
    values = trial.values or [None]
    return TrialResult(
        number=trial.number,
        state=trial.state.name.lower(),
        values=attributes.get("values", {}),
        loss=values[0] if trial.state.name == "COMPLETE" else None,
        general=attributes.get("general"),
        seconds=attributes.get("seconds"),
        folder=attributes.get("folder"),
    )


def results(study: "optuna.Study") -> list[TrialResult]:
    """Returns the trials of `study` that ended, the best first."""
    ended = [result_of(trial) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    return sorted(ended, key=lambda one: (one.loss is None, one.loss or 0.0, one.number))


@contextmanager
def _translated() -> Iterator[None]:
    """The seam where errors of Optuna and of its database become ours."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise RegistryError(f"The sweep's database cannot be used: {type(error).__name__}.") from error
    except (optuna.exceptions.StorageInternalError, ValueError) as error:
        raise ConfigError(f"The sweep cannot go on: {' '.join(str(error).split())[:300]}") from error
