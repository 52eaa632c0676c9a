"""The build of the demo's models in a user directory: copies of the shipped ones by default, or freshly trained ones.

Needs no torch unless it trains.
"""

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from patchbay.core.disk import sync
from patchbay.core.distribution import install_command
from patchbay.tuning.demo.errors import DamagedArtifacts, TrainingUnavailable
from patchbay.tuning.demo.manifest import MANIFEST_FILE, DemoManifest
from patchbay.tuning.demo.recipe import SHIPPED_SEED, Recipe
from patchbay.tuning.progress import ProgressSink

ARTIFACTS = Path(__file__).parent / "artifacts"
SHORT = 12
Fill = Callable[[Path], None]
Trainer = Callable[[Recipe, Path, ProgressSink], None]


@dataclass(frozen=True, slots=True)
class DemoModels:
    """The folders of the built models, in Hugging Face's and PEFT's form: the int4 base, and the adapters by name."""

    base: Path
    adapters: Mapping[str, Path]


def models_in(folder: Path) -> DemoModels:
    """Finds the models of a built folder."""
    found = {path.name: path for path in sorted((folder / "adapters").iterdir()) if path.is_dir()}
    return DemoModels(folder / "base", MappingProxyType(found))


def shipped_models(data_dir: Path) -> DemoModels:
    """Returns where `build_demo` puts the shipped models under `data_dir`, whether they are there or not.

    Raises `DamagedArtifacts` where their manifest cannot be read.
    """
    manifest = DemoManifest.read(ARTIFACTS)
    target = data_dir / f"demo-{manifest.digest[:SHORT]}"
    names = sorted({name.split("/")[1] for name in manifest.files if name.startswith("adapters/")})
    return DemoModels(target / "base", MappingProxyType({name: target / "adapters" / name for name in names}))


def build_demo(data_dir: Path, *, seed: int, train: bool, progress: ProgressSink) -> DemoModels:
    """Builds the demo's models under `data_dir`. What is there already and whole is kept, what is damaged is made anew.

    The shipped models are copied; with `train`, or for another seed than theirs, new ones are trained (minutes). Raises
    `DamagedArtifacts` where the shipped files are not what their manifest says, and `TrainingUnavailable` where
    training lacks its packages.
    """
    if train or seed != SHIPPED_SEED:
        return build_trained(data_dir, Recipe(seed=seed), progress)
    return build_shipped(data_dir, ARTIFACTS, progress)


def build_shipped(data_dir: Path, artifacts: Path, progress: ProgressSink) -> DemoModels:
    """Makes a verified copy of `artifacts` under `data_dir`."""
    manifest = DemoManifest.read(artifacts)
    target = data_dir / f"demo-{manifest.digest[:SHORT]}"
    with locked(data_dir):
        if not is_whole(target, manifest.digest):
            place(target, lambda folder: copy_files(artifacts, folder, manifest, progress))
    return models_in(target)


def build_trained(data_dir: Path, recipe: Recipe, progress: ProgressSink) -> DemoModels:
    """Trains models by `recipe` under `data_dir`, in a folder that is named after the recipe."""
    target = data_dir / f"demo-trained-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:SHORT]}"
    with locked(data_dir):
        if not is_whole(target, None):
            train = load_trainer()
            place(target, lambda folder: train(recipe, folder, progress))
    return models_in(target)


def load_trainer() -> Trainer:
    """Imports the training code, which needs torch and its company. Raises `TrainingUnavailable`."""
    try:
        from patchbay.tuning.demo.train import train_demo
    except ModuleNotFoundError as error:
        raise TrainingUnavailable(
            f"Training the demo's models needs the package {error.name!r}.",
            hint=f"Install it: {install_command('train')}, or leave out --train and --seed to copy the shipped models.",
        ) from error
    return train_demo


def is_whole(folder: Path, digest: str | None) -> bool:
    """Whether `folder` holds the bytes that its manifest names; `digest`: the one that it must be, if known."""
    try:
        manifest = DemoManifest.read(folder)
    except DamagedArtifacts:
        return False
    return digest in (None, manifest.digest) and not manifest.damaged_in(folder)


def copy_files(source: Path, target: Path, manifest: DemoManifest, progress: ProgressSink) -> None:
    """Copies what the manifest names, and checks each copy. Raises `DamagedArtifacts`."""
    progress.start("copy the models", len(manifest.files) + 1)
    for name in (*manifest.files, MANIFEST_FILE):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_file():
            shutil.copyfile(source / name, path)
        progress.advance()
    if damaged := manifest.damaged_in(target):
        raise DamagedArtifacts(
            f"The demo's shipped file {damaged[0]} is missing or not the one that its manifest names.",
            hint="Restore it with `git checkout -- tuning/demo/artifacts`.",
        )


def place(target: Path, fill: Fill) -> None:
    """Fills a new folder beside `target`, makes it durable, then renames it to `target`, in place of a damaged one."""
    fresh, old = target.parent / ".demo-new", target.parent / ".demo-old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        fill(fresh)
        make_durable(fresh)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        sync(target.parent)
    finally:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes `folder`, and lets one process at a time build in it. The kernel releases the lock of one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_durable(folder: Path) -> None:
    """Syncs every file and folder below to the disk, so that a crash cannot leave a half that looks whole."""
    for path in (*folder.rglob("*"), folder):
        sync(path)
