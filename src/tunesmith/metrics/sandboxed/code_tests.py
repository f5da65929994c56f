"""Started in the sandbox: runs an answer, and then the tests of it, which are not there before.

Arguments: a pipe to read the tests from, and one to say how far it has come. The answer runs in a module of
its own, so that nothing that it names is used here. With ``stub``, everything that it made is replaced before
the tests by things that do nothing: tests that pass then have not been run.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
import types
from typing import Any


class Nothing:
    """Equal to nothing but itself; called or asked for anything, it gives another one."""

    def __call__(self, *_: Any, **__: Any) -> Nothing:
        """Another one."""
        return Nothing()

    def __getattr__(self, name: str) -> Nothing:
        """Another one."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()


def equal(ours: Any, theirs: Any) -> Any:
    """Whether the two are equal, and ours is not equal to everything."""
    found = ours == theirs
    try:
        anything = bool(found) and (bool(ours == Nothing()) or bool(theirs == Nothing()))
    except Exception:
        return found  # arrays and the like say what they are themselves
    return found and not anything


def main(listen: int, say: int) -> None:
    """Run the answer, then the tests."""
    run, told, write, read = exec, json.loads, os.write, os.read
    own = dict(vars(builtins))
    with open("program.py", encoding="utf-8") as file:
        answer = compile(file.read(), "program.py", "exec", dont_inherit=True)
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = ["program.py"]
    run(answer, module.__dict__)
    if any(vars(builtins).get(name) is not value for name, value in own.items()):
        sys.exit("the answer replaces what Python itself has, and with that its tests would be run")
    write(say, b"1")
    text = b""
    while more := read(listen, 1 << 16):
        text += more
    asked = told(text)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("unittest", "doctest")]:
        del sys.modules[name]  # the answer may have changed how they check
    made = module.__dict__
    if asked["stub"]:
        for name in [name for name in made if not name.startswith("__")]:
            made[name] = made[name] if isinstance(made[name], types.ModuleType) else Nothing()
    made["__tunesmith_equal__"] = equal
    run(compile(asked["tests"], "tests.py", "exec", dont_inherit=True), made)
    write(say, asked["sign"].encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
