"""The commands `push`, `merge` and `sign` of `patchbay adapters`: make revisions."""

from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import activity, console, print_json, size
from patchbay.adapters.commands.session import AsJson, Config, Session, opened

if TYPE_CHECKING:
    from patchbay.adapters.merge import Method, Mixture
    from patchbay.adapters.publish import Pushed, PushRequest
    from patchbay.registry.records import AdapterSettings, Provenance

_Name = Annotated[str, typer.Option("--name", "-n", help="The adapter's name, which clients use.")]
_Note = Annotated[str | None, typer.Option("--note", help="A note, kept with the revision.")]
_MOST_NAMED = 12
_Base = Annotated[Path | None, typer.Option("--base", help="The folder of the base model that it must fit.")]

_Fold = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Merge it into a base model of its own, in this new folder, instead."),
]
_Onto = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="With --fold: the unquantized model that a quantized base was made from."),
]
_Expires = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it may be promoted.")
]


def push(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    source: Annotated[str, typer.Argument(help="A folder, a .tar.gz or .zip, or hf://, oci://, s3://, https://…")],
    name: _Name,
    note: _Note = None,
    owner: Annotated[str | None, typer.Option(help="The person or team that answers for it.")] = None,
    licence: Annotated[str | None, typer.Option(help="An SPDX identifier, such as Apache-2.0.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag. Repeatable.")] = None,
    data_hash: Annotated[str | None, typer.Option(help="The hash of its training data.")] = None,
    commit: Annotated[str | None, typer.Option(help="The commit of its training code.")] = None,
    evaluation: Annotated[list[str] | None, typer.Option(metavar="NAME=NUMBER", help="A score. Repeatable.")] = None,
    expires: _Expires = None,
    base: _Base = None,
    preload: Annotated[bool | None, typer.Option(help="Load it before its first request.")] = None,
    pin: Annotated[bool | None, typer.Option(help="Evict it last.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Promote it to 'stable', too.")] = False,
    fold: _Fold = None,
    onto: _Onto = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Makes a revision of an adapter: fetches it, checks it against the base model, and stores it under a number. The
    same bytes again are the same revision.

    What vLLM does not serve beside other adapters (DoRA, modules_to_save, biases) is served as a base model of its own:
    --fold merges it into one, and says how to serve that.

    Example: patchbay adapters push ./my-lora --name sql --note "trained on last week's tickets" --promote
    """
    from patchbay.adapters.publish import PushRequest
    from patchbay.registry.records import Provenance

    with opened(config) as session:
        if fold is not None or onto is not None:
            _fold(session, source, name, (fold, onto or base), promote=promote, as_json=as_json)
            return
        given = Provenance(
            owner=owner,
            licence=licence,
            data_hash=data_hash,
            commit=commit,
            evaluations=_evaluations(evaluation or []),
            tags=tuple(tag or ()),
            expires=expires.astimezone() if expires else None,
            notes=note,
        )
        request = PushRequest(name, source, given, _settings(session, name, preload, pin), "operator")
        _push_and_show(session, request, base, promote=promote, as_json=as_json)


def merge(  # noqa: PLR0913, PLR0917 - Typer makes an option of each parameter
    references: Annotated[list[str], typer.Argument(metavar="NAME@R…", help="The revisions to merge.")],
    weights: Annotated[str, typer.Option(help="One number for each revision, with commas: 0.7,0.3")],
    name: _Name,
    method: Annotated[str, typer.Option(help="linear, ties, dare_linear, dare_ties or cat.")] = "cat",
    density: Annotated[float, typer.Option(min=0.0, max=1.0, help="For TIES and DARE: the share to keep.")] = 0.5,
    seed: Annotated[int, typer.Option(help="For DARE: the seed. The same seed gives the same bytes.")] = 0,
    note: _Note = None,
    base: _Base = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Merges several revisions into one adapter, as PEFT's weighted merge does. The result is a revision like any
    other. The method `cat` is exact, and its rank is the sum of theirs.

    Example: patchbay adapters merge sql@3 style@1 --weights 0.8,0.2 --name sql-polite
    """
    from patchbay.adapters.merge import Mixture

    with opened(config) as session:
        mixture = Mixture(_numbers(weights), _method(method), density, seed)
        _show(_merge(session, references, mixture, (name, note, base)), as_json=as_json)


def sign(
    folder: Annotated[Path, typer.Argument(help="The adapter's folder.", exists=True, file_okay=False)],
    key: Annotated[Path, typer.Option(help="The private key: a PEM file with an elliptic curve.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Signs the adapter in a folder (OpenSSF model signing): writes `model.sig` beside its files.

    Example: patchbay adapters sign ./my-lora --key signing.pem
    """
    from patchbay.adapters.signing import sign_folder
    from patchbay.core.errors import PatchbayError
    from patchbay.core.exit_codes import fail

    try:
        signature = sign_folder(folder, key)
    except PatchbayError as error:
        raise typer.Exit(fail(error)) from error
    if as_json:
        print_json({"signature": str(signature)})
    else:
        typer.echo(f"Signed: {signature}")


def _fold(
    session: Session,
    source: str,
    name: str,
    places: tuple[Path | None, Path | None],
    *,
    promote: bool,
    as_json: bool,
) -> None:
    from patchbay.adapters.commands.fold import fold_and_show
    from patchbay.core.errors import ConfigError

    out, base = places
    if out is None:
        raise ConfigError("--onto goes with --fold FOLDER.", hint="Name the new base model's folder.")
    if promote:
        raise ConfigError("--promote does not go with --fold.", hint="A base model has no revisions: serve it.")
    fold_and_show(session, source, name, (out, base), as_json=as_json)


def _push_and_show(
    session: Session, request: "PushRequest", base: Path | None, *, promote: bool, as_json: bool
) -> None:
    pushed = _push(session, request, base)
    _show(pushed, as_json=as_json and not promote)
    if promote:
        from patchbay.adapters.commands.channels import promote_and_wait

        promote_and_wait(session, pushed.revision.name, as_json=as_json)


def _push(session: Session, request: "PushRequest", base: Path | None) -> "Pushed":
    with activity(f"pushing {request.source}") as shown:
        layout = session.base(base)
        return session.publisher.push(
            request, actor=session.actor, base=layout, tell=lambda step: shown.tell(f"{step} …")
        )


def _merge(
    session: Session, references: list[str], mixture: "Mixture", target: tuple[str, str | None, Path | None]
) -> "Pushed":
    from patchbay.adapters.merge import merge as merge_folders
    from patchbay.adapters.publish import PushRequest
    from patchbay.registry.records import Provenance

    name, note, base = target
    revisions = [session.registry.resolve(reference) for reference in references]
    with session.publisher.workdir("merge") as workdir, activity("merging") as shown:
        folders = [workdir / str(index) for index in range(len(revisions))]
        for revision, folder in zip(revisions, folders, strict=True):
            shown.tell(f"fetching {revision.name} …")
            session.store.fetch(revision.draft.files, folder)
        merge_folders(folders, mixture, workdir / "merged")
        source = f"{mixture.method} of " + ", ".join(
            f"{weight:g} {one.name}" for weight, one in zip(mixture.weights, revisions, strict=True)
        )
        made = Provenance(source=source, notes=note, merged_from=tuple(one.name for one in revisions))
        return _push(session, PushRequest(name, str(workdir / "merged"), made), base)


def _show(pushed: "Pushed", *, as_json: bool) -> None:
    from rich.markup import escape

    revision = pushed.revision
    if as_json:
        print_json({field.name: getattr(pushed, field.name) for field in fields(pushed)})
        return
    draft = revision.draft
    what = "is new" if pushed.created else "exists already, with the same bytes"
    console().print(
        f"[bold]{revision.name}[/bold] {what}: digest {draft.digest[:12]}, rank {draft.rank}, {size(draft.size_bytes)},"
        f" for the base model {(draft.base or 'any')[:12]}"
    )
    if pushed.data is not None:
        console().print(f"Trained on {pushed.data}.")
    for warning in pushed.warnings:
        console().print(f"[yellow]Warning:[/yellow] {escape(warning)}")
    for change in pushed.changes:
        console().print(f"Changed: {escape(change)}.")
    if pushed.left_out:
        more = len(pushed.left_out) - _MOST_NAMED
        named = ", ".join(pushed.left_out[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        console().print(f"Left out, since nothing loads it: {escape(named)}.")


def _settings(session: Session, name: str, preload: bool | None, pin: bool | None) -> "AdapterSettings | None":
    from patchbay.registry.records import AdapterSettings

    if preload is None and pin is None:
        return None
    view = session.registry.snapshot().adapters.get(name)
    known = view.settings if view else AdapterSettings()
    return AdapterSettings(preload=known.preload if preload is None else preload, pin=known.pin if pin is None else pin)


def _evaluations(texts: list[str]) -> dict[str, float]:
    from patchbay.core.errors import ConfigError

    found: dict[str, float] = {}
    for text in texts:
        name, separator, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError as error:
            raise ConfigError(f"--evaluation {text}: write it as NAME=NUMBER, such as accuracy=0.93.") from error
        if not (name and separator):
            raise ConfigError(f"--evaluation {text}: write it as NAME=NUMBER, such as accuracy=0.93.")
    return found


def _numbers(text: str) -> tuple[float, ...]:
    from patchbay.core.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--weights {text}: write numbers with commas between them, such as 0.7,0.3.") from error


def _method(text: str) -> "Method":
    from patchbay.adapters.merge import METHODS
    from patchbay.core.errors import ConfigError

    for method in METHODS:
        if method == text:
            return method
    raise ConfigError(f"--method {text}: use one of {', '.join(METHODS)}.")


def provenance_facts(provenance: "Provenance") -> dict[str, object]:
    """Returns the origin of a revision, as names and values for people."""
    from patchbay.adapters.commands.output import moment

    return {
        "source": provenance.source,
        "owner": provenance.owner,
        "licence": provenance.licence,
        "data": provenance.data_hash,
        "commit": provenance.commit,
        "evaluations": ", ".join(f"{name} {value:g}" for name, value in provenance.evaluations.items()),
        "tags": ", ".join(provenance.tags),
        "expires": moment(provenance.expires),
        "merged from": ", ".join(provenance.merged_from),
        "notes": provenance.notes,
    }
