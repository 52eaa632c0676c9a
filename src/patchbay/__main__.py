"""`python -m patchbay`: the same as the `patchbay` command."""

from patchbay.command import main

if __name__ == "__main__":
    main()
