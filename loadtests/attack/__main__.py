"""The command `python -m loadtests.attack`: attacks a Patchbay of its own for some minutes, and reports what held."""

from loadtests.attack.commands import main

main()
