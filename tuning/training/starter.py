"""The recipe that `patchbay tune init` writes: commented, for what its user has. Pure."""

from patchbay.tuning.training.methods import METHODS, MethodName

_RECIPE = """\
# A recipe of Patchbay: `patchbay tune check {file}`, then `patchbay tune run {file}`.
name: {name}
# The folder of the base model that serves.
base: {base}
# {use}
method: {method}
data:
  # Rows with {keys}, as JSON lines or NAME@N of a data set.
  train: {train}
  # A tenth of the rows is held out. Or name a file: validation: ./validation.jsonl
  share: 0.1
  # Chats of other kinds, on which the model must not get worse:
  # general: ./general.jsonl
  max_length: 1024
  # Longer rows: refuse, drop or cut. They are listed each time.
  too_long: refuse
adapter:
  # lora, rslora, dora (merged for serving) or qlora.
  kind: lora
  rank: 16
  # alpha: 32
  dropout: 0.0
  targets: all-linear
schedule:
  epochs: 2
  batch: 4
  accumulation: 4
  rate: {rate:g}
  shape: cosine
  warmup: 0.03
compute:
  precision: bf16
  gradient_checkpointing: false
watch:
  # Evaluations without a better one, after which the run ends.
  patience: 3
card:
  purpose: Say what it is for.
  # owner: team-support
  # licence: Apache-2.0
seed: 7
"""


def starter_recipe(name: str, *, method: MethodName, base: str, train: str, file: str) -> str:
    """Writes a recipe for `method`, with the paths `base` and `train` in it; `file`: its own name."""
    chosen = METHODS[method]
    keys = ", ".join(chosen.keys)
    return _RECIPE.format(
        name=name, base=base, train=train, file=file, method=method, use=chosen.use, keys=keys, rate=chosen.rate
    )
