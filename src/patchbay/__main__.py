"""The entry point of `python -m patchbay`, which is the same as the command `patchbay`."""

from patchbay.command import main

if __name__ == "__main__":
    main()
