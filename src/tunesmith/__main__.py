"""``python -m tunesmith RECIPE``, for ``accelerate launch -m`` and ``torchrun -m``; also every command.

``@FILE`` alone stands for the arguments in FILE, a JSON list: a launcher that goes through a shell would
split them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.world.import_path import leave_script_folder


def _main() -> int:
    leave_script_folder()
    arguments = sys.argv[1:]
    if len(arguments) == 1 and arguments[0].startswith("@"):
        import json

        arguments = json.loads(Path(arguments[0][1:]).read_text(encoding="utf-8"))
    if arguments and (arguments[0].endswith((".yaml", ".yml")) or Path(arguments[0]).is_file()):
        from tunesmith import main

        main(arguments[0], arguments[1:])
    from tunesmith.cli.main import command_line

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(_main())
