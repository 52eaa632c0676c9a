"""The entry point of `python -m tools.house`, which `make house` runs: prints the figures of the code's structure."""

from tools.house.commands import main

if __name__ == "__main__":
    main()
