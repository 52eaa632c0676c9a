"""Screenshots of commands for the docs: runs a command and draws what it prints as an SVG, in a terminal's frame.

`python -m tools.screenshot docs/images/list.svg patchbay adapters list`
"""

import os
import subprocess
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

# Rich's own frame loads a font from elsewhere, which no page of ours does.
_FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def drawn(printed: str, title: str, columns: int) -> str:
    """Draws `printed`, a terminal's text with its colours, as an SVG that is `columns` characters wide."""
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(printed), soft_wrap=False)
    return console.export_svg(title=title, theme=DIMMED_MONOKAI, code_format=_FRAME, unique_id="shot")


def draw(
    out: Annotated[Path, typer.Argument(help="The SVG to write.")],
    command: Annotated[list[str], typer.Argument(help="What to run.")],
    columns: Annotated[int, typer.Option(min=40, max=200, help="The terminal's width.")] = 110,
    last: Annotated[int, typer.Option(min=1, help="Lines to show, the last ones.")] = 60,
) -> None:
    """Runs a command and draws what it prints.

    Example: python -m tools.screenshot docs/images/list.svg patchbay adapters list
    """
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(columns)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = ran.stdout.rstrip().splitlines()[-last:]
    out.write_text(drawn("\n".join(lines), "$ " + " ".join(command), columns))


if __name__ == "__main__":
    typer.run(draw)
