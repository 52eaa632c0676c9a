"""`list`, `show`, `diff`, `verify`, `audit` and `recommend`: what there is, and how it stands."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from patchbay.adapters.commands.output import activity, console, facts, moment, print_json, size, table
from patchbay.adapters.commands.push import provenance_facts
from patchbay.adapters.commands.session import ALIVE_S, AsJson, Config, Session, opened, tell
from patchbay.adapters.workdir import workdir

if TYPE_CHECKING:
    from patchbay.registry.records import AdapterView, Placement, ReplicaReport, Revision

_MOST_MODULES = 12


def list_adapters(config: Config = None, as_json: AsJson = False) -> None:
    """Lists every adapter: what its channels mean, and how that stands on the replicas.

    Example: patchbay adapters list
    """
    with opened(config) as session:
        views, reports = session.registry.adapters(), session.registry.reports()
        _tell_age(session, reports)
        if as_json:
            print_json({"adapters": views, "replicas": reports})
            return
        rows = [_row(view, reports) for view in views]
        shown = table("", ("adapter", "stable", "canary", "revisions", "on replicas", "kept"), rows)
        console().print(shown if rows else "There is no adapter yet. Push one: patchbay adapters push --help")


def show(
    reference: Annotated[str, typer.Argument(metavar="NAME[@R]", help="An adapter, or one revision of it.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows an adapter with its revisions and its history; or one revision, with all that is known of it.

    Example: patchbay adapters show sql@3
    """
    with opened(config) as session:
        revision = session.registry.resolve(reference)
        _tell_age(session, session.registry.reports())
        if "@" in reference:
            _show_revision(session, revision, as_json=as_json)
        else:
            _show_adapter(session, revision.adapter, as_json=as_json)


def diff(
    before: Annotated[str, typer.Argument(metavar="NAME@1")],
    after: Annotated[str, typer.Argument(metavar="NAME@2")],
    weights: Annotated[bool, typer.Option(help="Compare the weights, too: fetches both.")] = True,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows how two revisions differ: in what is recorded, and module by module in what they do to the base's weights.

    Example: patchbay adapters diff sql@1 sql@2
    """
    from patchbay.adapters.compare import diff as compare

    with opened(config) as session:
        one, other = session.registry.resolve(before), session.registry.resolve(after)
        changes = compare(one, other)
        distances = _distances(session, one, other) if weights else {}
        if as_json:
            print_json({"changes": changes, "weight_distance": distances})
            return
        rows = [(change.field, change.before, change.after) for change in changes]
        console().print(table("", ("", one.name, other.name), rows) if rows else "The records are the same.")
        if distances:
            farthest = sorted(distances.items(), key=lambda item: -item[1])[:_MOST_MODULES]
            title = f"Distance of the weights, the farthest {len(farthest)} of {len(distances)} modules (0: the same)"
            console().print(table(title, ("module", "distance"), [(n, f"{d:.3f}") for n, d in farthest]))


def verify(
    reference: Annotated[str, typer.Argument(metavar="NAME@R", help="The revision.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Reads every stored file of a revision, compares it with its hash, and asks the gate again.

    Example: patchbay adapters verify sql@3
    """
    from patchbay.adapters.checks.base import BaseLayout
    from patchbay.adapters.checks.check import check_folder
    from patchbay.adapters.signing import verify_folder

    with opened(config) as session, workdir("verify") as aside:
        revision = session.registry.resolve(reference)
        with activity(f"reading {revision.name}"):
            folder = aside / "files"
            session.store.fetch(revision.draft.files, folder)
            known = {record.fingerprint: record for record in session.registry.bases()}
            record = known.get(revision.draft.base or "")
            base = BaseLayout.from_json(record.layout) if record and record.layout else None
            check_folder(folder, max_rank=session.defaults.max_rank, base=base, limits=session.config.limits)
            signer = verify_folder(folder, session.config.signing)
        if as_json:
            print_json({"revision": revision.name, "digest": revision.draft.digest, "signed_by": signer, "ok": True})
        else:
            signed = f", signed by {signer}" if signer else ""
            typer.echo(f"{revision.name} is whole: {len(revision.draft.files)} files, as they were pushed{signed}.")


def audit(
    subject: Annotated[str | None, typer.Option(help="An adapter or a revision.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 30,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Shows who did what, and why, the newest first.

    Example: patchbay adapters audit --subject sql
    """
    with opened(config) as session:
        entries = session.registry.audit(subject=subject, limit=limit)
        if as_json:
            print_json(entries)
            return
        rows = [(moment(one.at), one.actor, one.action, one.subject, _details(one.details)) for one in entries]
        console().print(table("", ("when", "who", "what", "of", ""), rows))


def recommend(config: Config = None, as_json: AsJson = False) -> None:
    """Says how many slots and places in host memory would have served what was asked of the replicas since their start.

    Example: patchbay adapters recommend
    """
    from patchbay.adapters.recommend import recommend as advise
    from patchbay.core.replica import RevisionUsage

    with opened(config) as session:
        reports = [report for report in session.registry.reports() if report.ready]
        usages = [RevisionUsage.model_validate(dict(report.usage)) for report in reports]
        slots = min((report.slots for report in reports), default=0)
        places = min((report.cpu for report in reports), default=0)
        told = advise(usages, slots=slots, places=places)
        if as_json:
            print_json({"slots": slots, "places": places, "recommendation": told})
            return
        typer.echo(told.words)
        if told.requests:
            rows = [("now", slots, places, f"{told.hits_now:.1%}")]
            rows.append(("recommended", told.max_loras, told.max_cpu_loras, f"{told.hits_then:.1%}"))
            console().print(table("", ("", "max_loras", "max_cpu_loras", "repeated requests that hit"), rows))


def _details(details: Mapping[str, object]) -> str:
    """The details of an entry, with hashes cut to what tells them apart."""
    shown = {key: str(value)[:12] if key in ("digest", "base") else value for key, value in details.items()}
    return ", ".join(f"{key}: {value}" for key, value in shown.items())


def _tell_age(session: Session, reports: Sequence["ReplicaReport"]) -> None:
    """Says that what replicas hold is as it was, where no router is there to know better."""
    if reports and not session.registry.routers(ALIVE_S):
        last = max(report.seen_at for report in reports)
        tell(f"note: no router lives on this registry; what replicas hold is as last seen, {moment(last)}.")


def _row(view: "AdapterView", reports: Sequence["ReplicaReport"]) -> tuple[object, ...]:
    stable = view.number("stable")
    standing = [one for one in _placements(view.name, reports) if one.number == stable]
    kept = [word for word, is_so in (("preload", view.settings.preload), ("pin", view.settings.pin)) if is_so]
    return (
        view.name,
        f"@{stable}" if stable else None,
        f"@{view.number('canary')}" if view.number("canary") else None,
        len(view.revisions),
        _standing(standing),
        ", ".join(kept),
    )


def _standing(placements: Sequence["Placement"]) -> str | None:
    counts: dict[str, int] = {}
    for one in placements:
        counts[one.state] = counts.get(one.state, 0) + 1
    reasons = {one.reason for one in placements if one.state == "failed" and one.reason}
    said = ", ".join(f"{state} on {count}" for state, count in sorted(counts.items()))
    return f"{said}: {min(reasons)}" if reasons else said or None


def _placements(name: str, reports: Iterable["ReplicaReport"]) -> list["Placement"]:
    return [one for report in reports for one in report.placements if one.adapter == name]


def _show_adapter(session: Session, name: str, *, as_json: bool) -> None:
    revisions, view = session.registry.revisions(name), session.registry.snapshot().adapters[name]
    placements = _placements(name, session.registry.reports())
    moves = sorted(
        (*session.registry.history(name, "stable"), *session.registry.history(name, "canary")), key=lambda m: m.id
    )
    if as_json:
        print_json({"adapter": view, "revisions": revisions, "placements": placements, "history": moves})
        return
    meant = {record.number: channel for channel, record in view.channels.items() if record.number}
    rows = [
        (
            one.name,
            "retired" if one.retired_at else meant.get(one.number, ""),
            one.draft.digest[:12],
            one.draft.rank,
            size(one.draft.size_bytes),
            moment(one.created_at),
            _standing([placement for placement in placements if placement.number == one.number]),
        )
        for one in revisions
    ]
    columns = ("revision", "", "digest", "rank", "size", "pushed", "on replicas")
    console().print(table("", columns, rows))
    changes = [(moment(m.at), m.kind, m.channel, _step(m.before), _step(m.after), m.actor, m.why or "") for m in moves]
    console().print(table("History", ("when", "what", "channel", "from", "to", "who", "why"), changes))


def _show_revision(session: Session, revision: "Revision", *, as_json: bool) -> None:
    placements = [p for p in _placements(revision.adapter, session.registry.reports()) if p.number == revision.number]
    if as_json:
        print_json({"revision": revision, "placements": placements})
        return
    draft = revision.draft
    console().print(
        facts(
            {
                "revision": revision.name,
                "digest": draft.digest,
                "base model": draft.base,
                "rank, alpha": f"{draft.rank}, {draft.alpha:g}",
                "targets": ", ".join(draft.targets),
                "pushed": f"{moment(revision.created_at)} by {revision.created_by}",
                "retired": moment(revision.retired_at),
                "signed by": draft.signed_by,
                "golden prompts": len(draft.golden) or None,
                **provenance_facts(draft.provenance),
            }
        )
    )
    console().print(
        table("Files", ("name", "size", "sha256"), [(f.name, size(f.size), f.sha256[:12]) for f in draft.files])
    )
    rows = [(one.replica, one.state, one.reason or "") for one in placements]
    console().print(table("Replicas", ("replica", "state", "why"), rows) if rows else "It is on no replica.")


def _distances(session: Session, one: "Revision", other: "Revision") -> dict[str, float]:
    from patchbay.adapters.compare import weight_distances

    with workdir("diff") as aside, activity("comparing the weights"):
        folders = aside / "1", aside / "2"
        for revision, folder in zip((one, other), folders, strict=True):
            session.store.fetch(revision.draft.files, folder)
        return weight_distances(*folders)


def _step(number: int | None) -> str | None:
    return f"@{number}" if number else None
