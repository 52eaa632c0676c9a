"""The build of the demo on a real base in a user directory: a base that is imported, and adapters that are copied."""

import shutil
from pathlib import Path
from types import MappingProxyType

from patchbay.adapters.digest import file_hash
from patchbay.core.distribution import translated_imports
from patchbay.core.errors import ConfigError
from patchbay.tuning.bases.importing import RECORD_FILE, ImportRequest, import_base
from patchbay.tuning.demo.build import SHORT, DemoModels, copy_files, is_whole, locked, models_in, place
from patchbay.tuning.demo.english.recipe import EnglishRecipe
from patchbay.tuning.demo.errors import DemoError
from patchbay.tuning.demo.manifest import DemoManifest
from patchbay.tuning.progress import ProgressSink

ARTIFACTS = Path(__file__).parent / "artifacts"
_WEIGHTS = "model.safetensors"
_TINY = "`patchbay demo up --tiny` serves the tiny models, which need no download."


def english_models(data_dir: Path) -> DemoModels:
    """Returns where `build_english` puts base and adapters under `data_dir`, whether they are there or not.

    Raises `DamagedArtifacts` where the adapters' manifest cannot be read.
    """
    manifest = DemoManifest.read(ARTIFACTS)
    target = data_dir / f"demo-english-{manifest.digest[:SHORT]}"
    names = sorted({name.split("/")[1] for name in manifest.files if name.startswith("adapters/")})
    return DemoModels(
        data_dir / f"demo-base-{weights_of(manifest)[:SHORT]}",
        MappingProxyType({name: target / "adapters" / name for name in names}),
    )


def weights_of(manifest: DemoManifest) -> str:
    """Returns the SHA-256 of the base's weights, which the adapters were trained over."""
    return str(manifest.origin["base"]["weights_sha256"])


def build_english(data_dir: Path, progress: ProgressSink) -> DemoModels:
    """Builds the demo on its real base under `data_dir`: what is there and whole is kept, what is damaged made anew.

    The base is downloaded and imported at the first time (minutes). Raises `DemoError` where it cannot be had, or is
    not the one that the adapters were trained over, and `DamagedArtifacts` where the shipped adapters are damaged.
    """
    manifest, models = DemoManifest.read(ARTIFACTS), english_models(data_dir)
    target = data_dir / f"demo-english-{manifest.digest[:SHORT]}"
    with locked(data_dir):
        if not is_whole(target, manifest.digest):
            place(target, lambda folder: copy_files(ARTIFACTS, folder, manifest, progress))
        if not is_base(models.base, weights_of(manifest)):
            shutil.rmtree(models.base, ignore_errors=True)
            import_demo_base(EnglishRecipe(), models.base, weights_of(manifest), progress)
    return models


def is_base(folder: Path, sha256: str) -> bool:
    """Whether `folder` has a whole imported base with these weights."""
    weights = folder / _WEIGHTS
    return (folder / RECORD_FILE).is_file() and weights.is_file() and file_hash(weights) == sha256


def import_demo_base(recipe: EnglishRecipe, folder: Path, sha256: str, progress: ProgressSink) -> None:
    """Imports the recipe's base as `folder`, and checks that its weights have `sha256`. Raises `DemoError`."""
    wanted = ImportRequest(source=recipe.source, out=folder, method=recipe.method, sha256=recipe.gguf_sha256)
    try:
        with translated_imports():
            import_base(wanted, progress)
    except ConfigError as error:
        raise DemoError(f"The demo's base cannot be imported. {error}", hint=_TINY) from error
    actual = file_hash(folder / _WEIGHTS)
    if actual != sha256:
        shutil.rmtree(folder, ignore_errors=True)
        raise DemoError(
            f"The import of {recipe.source} gave weights with the SHA-256 {actual}, expected {sha256}: the adapters "
            "were trained over others.",
            hint=f"Are the packages the ones that the lock names? {_TINY}",
        )


def train_english_demo(data_dir: Path, progress: ProgressSink) -> DemoModels:
    """Trains the adapters anew under `data_dir`, over a base that is imported there.

    Raises `ConfigError` where the base cannot be imported.
    """
    with translated_imports():
        from patchbay.tuning.demo.english.train import train_english
    recipe = EnglishRecipe()
    base, target = data_dir / "demo-base-training", data_dir / "demo-english-trained"
    wanted = ImportRequest(source=recipe.source, out=base, method=recipe.method, sha256=recipe.gguf_sha256)
    with locked(data_dir):
        if not (base / RECORD_FILE).is_file():
            import_base(wanted, progress)
        place(target, lambda folder: train_english(base, recipe, folder, progress))
    return DemoModels(base, models_in(target).adapters)
