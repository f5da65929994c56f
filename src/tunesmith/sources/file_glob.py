"""Several files by one pattern: ``./part-*.jsonl``."""

from __future__ import annotations

import glob
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.recipe.source_syntax import has_pattern, kind_of
from tunesmith.suggest import listed, nearest_names


def matching_files(source: str, where: str = "") -> list[Path] | None:
    """The files that a source's pattern matches, sorted by name; ``None`` if it is no pattern of files.

    ``*`` and ``?`` stand for anything within a name, ``[ab]`` for one of these, ``**`` for any folders.
    Hidden files are not matched. A file that is really called so is no pattern.

    Args:
        source: the recipe's text.
        where: the place in the recipe, for messages.

    Raises:
        UserError: nothing matches, or folders alone do.
    """
    if kind_of(source) != "path" or not has_pattern(source):
        return None
    path = Path(source).expanduser()
    if path.exists():
        return None
    found = sorted(Path(name) for name in glob.glob(str(path.absolute()), recursive=True))
    files = [one for one in found if one.is_file()]
    if files:
        return files
    if found:
        hint = f"name what is in them, e.g. `{source.rstrip('/')}/*.jsonl`"
        raise UserError(f"the pattern `{source}` matches folders alone", where, hint)
    raise UserError(f"the pattern `{source}` matches no file", where, _what_is_there(path.absolute()))


def _what_is_there(path: Path) -> str:
    folder = path.parent
    while has_pattern(str(folder)):
        folder = folder.parent
    if not folder.is_dir():
        return f"there is no folder `{folder}`"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    close = nearest_names(path.name, names, 3)
    return f"in `{folder}` are {listed(close or names, 8)}" if names else f"`{folder}` is empty"
