"""`python -m augsynth.gallery README.md` brings the tables of transforms in a document up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from augsynth.errors import AugsynthError
from augsynth.gallery.table import COMMAND, replaced


def main(arguments: list[str]) -> int:
    """Rewrite the files named by `arguments`; return 0, or 1 after a message."""
    if not arguments:
        print(f"usage: {COMMAND}", file=sys.stderr)
        return 1
    for name in arguments:
        path = Path(name)
        try:
            path.write_text(replaced(path.read_text(encoding="utf-8")), encoding="utf-8")
        except (AugsynthError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
