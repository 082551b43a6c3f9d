"""``python -m spiralage`` is ``spiralage``."""

from spiralage.cli import entry_point

if __name__ == "__main__":
    entry_point()
