"""The front door: the `patchbay` command. Its sub-commands import what they need when they run."""

import sys

import typer

from adapters.errors import PatchbayError, fail


def build_app() -> typer.Typer:
    """The `patchbay` command with all its sub-commands."""
    from adapters.commands.app import app as adapters
    from adapters.commands.backup import backup, restore
    from adapters.commands.keys import app as keys
    from adapters.commands.registry import app as registry
    from adapters.commands.replicas import app as replicas
    from adapters.commands.tenants import app as tenants
    from adapters.commands.usage import usage
    from adapters.demo.commands import app as demo
    from launch.admin import app as admin
    from launch.commands import up
    from launch.demo import demo_config, demo_texts, demo_up
    from launch.demo_canary import demo_canary
    from launch.load import app as load
    from router.canary_commands import app as canary
    from router.commands import run as router
    from router.cost_commands import app as cost
    from router.guard_commands import app as guards
    from router.route_commands import app as routes
    from server.commands import run as server

    app = typer.Typer(no_args_is_help=True, add_completion=False, callback=_options, invoke_without_command=False)
    for name, run in (("up", up), ("router", router), ("server", server)):
        app.command(name)(run)
    demo.command("up")(demo_up)
    demo.command("canary")(demo_canary)
    demo.command("config")(demo_config)
    demo.command("texts")(demo_texts)
    app.add_typer(adapters, name="adapters")
    app.add_typer(registry, name="registry")
    app.add_typer(replicas, name="replicas")
    app.add_typer(admin, name="admin")
    app.add_typer(routes, name="route")
    app.add_typer(guards, name="guards")
    app.add_typer(canary, name="canary")
    app.add_typer(tenants, name="tenants")
    app.add_typer(keys, name="keys")
    for command in (usage, backup, restore):
        app.command(command.__name__)(command)
    app.add_typer(cost, name="cost")
    app.add_typer(load, name="load")
    app.add_typer(demo, name="demo")
    return app


def main() -> None:
    """Runs the command line. Exit codes: 0 well, 1 failed, 2 wrong usage or configuration."""
    try:
        build_app()()
    except PatchbayError as error:
        sys.exit(fail(error))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"patchbay {version('patchbay')}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """Many LoRA adapters over one quantized base model, behind one OpenAI-compatible endpoint.

    Example: patchbay up --base ./models/my-base --adapter sql=./my-lora
    """


if __name__ == "__main__":
    main()
