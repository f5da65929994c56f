"""``python -m tunesmith RECIPE``, for ``accelerate launch -m`` and ``torchrun -m``; also every command."""

from __future__ import annotations

import sys
from pathlib import Path


def _main() -> int:
    arguments = sys.argv[1:]
    if arguments and (arguments[0].endswith((".yaml", ".yml")) or Path(arguments[0]).is_file()):
        from tunesmith import main

        main(arguments[0], arguments[1:])
    from tunesmith.cli.main import command_line

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(_main())
