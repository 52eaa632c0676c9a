"""The command `patchbay data retire`: lets the rows of a data set go."""

import typer

from patchbay.adapters.commands.output import print_json
from patchbay.adapters.commands.session import AsJson, Config, Why
from patchbay.tuning.commands.data_session import Reference, data_session


def retire(reference: Reference, why: Why = None, config: Config = None, as_json: AsJson = False) -> None:
    """Retires a data set for good, as where a person asks for deletion: its line in the registry stays, and its rows go
    with the next 'patchbay adapters gc'. Unpacked copies on this machine go at once.

    Example: patchbay data retire tickets@1 --why "a customer asked to be forgotten"
    """
    import shutil

    from patchbay.tuning.data.store import described

    with data_session(config) as session:
        record = session.record(reference)
        datasets = session.data.registry.datasets
        retired = datasets.retire(record.draft.name, record.number, actor=session.session.actor, why=why)
        shutil.rmtree(session.data.cache / record.draft.digest, ignore_errors=True)
        if as_json:
            print_json(described(retired))
        else:
            typer.echo(f"{retired.name} is retired. Its rows go with: patchbay adapters gc")
