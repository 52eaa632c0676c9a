"""The command `patchbay`: gathers the sub-commands of all packages, which import what they need when they run."""

import typer

from patchbay.core.distribution import own_version, run_command


def build_app() -> typer.Typer:
    """Builds the command `patchbay` with all its sub-commands."""
    from patchbay.adapters.commands.app import app as adapters
    from patchbay.adapters.commands.backup import backup, restore
    from patchbay.adapters.commands.keys import app as keys
    from patchbay.adapters.commands.registry import app as registry
    from patchbay.adapters.commands.replicas import app as replicas
    from patchbay.adapters.commands.tenants import app as tenants
    from patchbay.adapters.commands.usage import usage
    from patchbay.launch.admin import app as admin
    from patchbay.launch.chat import chat
    from patchbay.launch.commands import up
    from patchbay.launch.config_commands import app as config
    from patchbay.launch.doctor import doctor
    from patchbay.load_tests import add_load_commands
    from patchbay.router.cli.canary import app as canary
    from patchbay.router.cli.cost import app as cost
    from patchbay.router.cli.guards import app as guards
    from patchbay.router.cli.routes import app as routes
    from patchbay.router.cli.serve import run as router
    from patchbay.server.commands import run as server

    app = typer.Typer(no_args_is_help=True, callback=_options, invoke_without_command=False)
    for name, run in (("up", up), ("router", router), ("server", server)):
        app.command(name)(run)
    groups = {
        "config": config,
        "adapters": adapters,
        "registry": registry,
        "replicas": replicas,
        "admin": admin,
        "route": routes,
        "guards": guards,
        "canary": canary,
        "tenants": tenants,
        "keys": keys,
    }
    for name, group in groups.items():
        app.add_typer(group, name=name)
    for command in (chat, doctor, usage, backup, restore):
        app.command(command.__name__)(command)
    app.add_typer(cost, name="cost")
    _add_tuning_commands(app)
    add_load_commands(app)
    app.add_typer(_demo_app(), name="demo")
    _tell_exit_codes(app)
    return app


def _add_tuning_commands(app: typer.Typer) -> None:
    """Adds the commands that go from examples to a revision."""
    from patchbay.tuning.commands.data import app as data
    from patchbay.tuning.commands.models import app as models
    from patchbay.tuning.commands.tune import app as tune
    from patchbay.tuning.commands.why import why

    for name, group in {"data": data, "tune": tune, "models": models}.items():
        app.add_typer(group, name=name)
    app.command("why")(why)


def _tell_exit_codes(app: typer.Typer) -> None:
    """Ends the help of `app`, and of each command below it that does not list its own, with the exit codes."""
    from patchbay.core.exit_codes import exit_codes_text

    app.info.epilog = exit_codes_text()
    for command in app.registered_commands:
        if "Exit codes:" not in ((command.callback.__doc__ if command.callback is not None else None) or ""):
            command.epilog = exit_codes_text()
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _tell_exit_codes(group.typer_instance)


def _demo_app() -> typer.Typer:
    """Builds the commands `patchbay demo`, which are of two packages."""
    from patchbay.launch.demo import demo_config, demo_texts, demo_up
    from patchbay.launch.demo_canary import demo_canary
    from patchbay.launch.demo_tune import demo_tune
    from patchbay.tuning.commands.demo_tickets import demo_tickets
    from patchbay.tuning.demo.commands import app

    app.command("up")(demo_up)
    app.command("canary")(demo_canary)
    app.command("config")(demo_config)
    app.command("texts")(demo_texts)
    app.command("tickets")(demo_tickets)
    app.command("tune")(demo_tune)
    return app


def main() -> None:
    """Runs the command line. `core/exit_codes.py` has its exit codes."""
    run_command(_build_and_run)


def _build_and_run() -> None:
    build_app()()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"patchbay {own_version()}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Many LoRA adapters over one quantized base model, behind one OpenAI-compatible endpoint.

    Example: patchbay up --base ./models/my-base --adapter sql=./my-lora
    """
