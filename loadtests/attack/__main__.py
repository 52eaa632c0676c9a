"""`python -m loadtests.attack`: attacks a Patchbay of its own for some minutes, and says what it held."""

from loadtests.attack.commands import main

main()
