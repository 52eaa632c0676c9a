"""The entry point of `python -m observability`: writes the dashboards into deploy/observability/dashboards."""

from observability.boards import OUTPUT, files


def main() -> None:
    """Writes every dashboard."""
    for name, text in files().items():
        (OUTPUT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
