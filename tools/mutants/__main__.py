"""The entry point of `python -m tools.mutants`, which `make mutants` runs: changes code, and sees which tests fail."""

from tools.mutants.commands import main

if __name__ == "__main__":
    main()
