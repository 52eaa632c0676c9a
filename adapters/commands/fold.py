"""The option `--fold` of `push`: makes a base of its own for an adapter that no engine serves beside others."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from patchbay.adapters.commands.output import activity, console, print_json, size
from patchbay.adapters.commands.session import Session

if TYPE_CHECKING:
    from patchbay.adapters.fold.fold import Folded


def fold_and_show(session: Session, source: str, name: str, places: tuple[Path, Path | None], *, as_json: bool) -> None:
    """Folds the adapter at `source` into its base, and tells how the result is served.

    `places`: the new base's folder, and that of the base to fold into, where it is not the configuration's.
    """
    from patchbay.adapters.fold.serving import command_of, served_by
    from patchbay.core.names import check_name

    check_name(name)
    out, base = places
    folded = _folded(session, source, out, _base_folder(session, base))
    session.registry.record(
        session.actor, "fold", name, {"folder": str(folded.folder), "digest": folded.adapter_digest}
    )
    text = served_by(folded.folder, name, chat_template=session.defaults.chat_template)
    if as_json:
        print_json({"folded": asdict(folded), "config": text, "command": command_of(name)})
    else:
        _show(folded, name, text)


def _folded(session: Session, source: str, out: Path, base: Path) -> "Folded":
    from patchbay.adapters.fold.admission import admit
    from patchbay.adapters.fold.fold import check_new, fold
    from patchbay.adapters.inspection import Requirements
    from patchbay.adapters.sources.fetch import Terms, obtain

    check_new(out)
    config = session.config
    with session.publisher.workdir("fold") as workdir, activity(f"folding {source}") as shown:
        place = obtain(source, Terms(config.limits, config.sources, "operator"), workdir=workdir)
        shown.tell("checking …")
        requirements = Requirements(config.limits, session.defaults.max_rank, config.signing, config.sources)
        admitted = admit(place, requirements, workdir=workdir)
        return fold(admitted, base, out, tell=shown.tell, limits=config.limits)


def _base_folder(session: Session, chosen: Path | None) -> Path:
    """Returns the folder of the base to fold into: the chosen one, the configuration's, or the only one that the
    registry knows. Raises ConfigError where that is no folder here."""
    from patchbay.adapters.sources.hub_cache import cached_model
    from patchbay.core.errors import ConfigError

    model = str(chosen) if chosen is not None else session.defaults.model
    known = {record.source for record in session.registry.bases() if record.source}
    if model is None and len(known) == 1:
        model = next(iter(known))
    if model is None:
        raise ConfigError("Nothing says which base model to fold into.", hint="Name its folder: --base FOLDER.")
    folder = Path(model).expanduser()
    found = folder if folder.is_dir() else cached_model(model)
    if found is None:
        raise ConfigError(
            f"The base model '{model}' is no folder here, and was not downloaded from a hub.",
            hint="Name its folder: --base FOLDER.",
        )
    return found


def _show(folded: "Folded", name: str, text: str) -> None:
    from rich.markup import escape

    from patchbay.adapters.fold.serving import command_of

    told = console()
    told.print(
        f"[bold]{escape(str(folded.folder))}[/bold] is a base model: {size(folded.size_bytes)}, "
        f"{folded.changed} of {folded.parameters} parameters changed, fingerprint {folded.fingerprint[:12]}",
        soft_wrap=True,
    )
    if folded.unpacked:
        told.print("Its weights are no longer int4, which would round the change away: they take four times the space.")
    if folded.untied:
        told.print("Its head no longer shares the embedding's weights: training changed one without the other.")
    if folded.vocabulary is not None:
        told.print(f"Its vocabulary has {folded.vocabulary} rows now.")
    if folded.own_template:
        told.print("Its chat template is the adapter's own, chat_template.jinja: read it before you serve it.")
    told.print(f"\nServe it, as {escape(name)}.yaml:\n")
    typer.echo(text)
    told.print(f"{command_of(name)}      # beside a running one on this machine: other ports, too", soft_wrap=True)
