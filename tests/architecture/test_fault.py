"""The product has one hook for tests, and it stands where a fault may strike."""

from __future__ import annotations

import ast

HOOK = "tunesmith.fault"
POINTS = {
    "load", "encode", "baseline", "data", "forward", "backward", "update", "log", "evaluate", "generate",
    "save-write", "save-publish", "score", "export", "exit", "enrich", "roll-out",
}  # fmt: skip


def test_only_one_file_reads_the_variable(modules) -> None:
    named = [module.name for module in modules if "TUNESMITH_FAULT" in module.text]
    assert named == [HOOK]
    used = [m.name for m in modules for _, name in m.imports() if name.startswith(f"{HOOK}.")]
    others = [name for m in modules for _, name in m.imports() if name in (f"{HOOK}.VARIABLE", HOOK)]
    assert used
    assert others == []


def test_every_phase_has_its_point(modules) -> None:
    points = [
        call.args[0].value
        for module in modules
        for call in module.calls()
        if ast.unparse(call.func) == "fault" and isinstance(call.args[0], ast.Constant)
    ]
    assert set(points) == POINTS
    assert len(points) == len(set(points)), "a point stands at one place"


def test_no_code_but_the_hook_asks_whether_it_is_tested(modules) -> None:
    wrong = [module.name for module in modules if "PYTEST_CURRENT_TEST" in module.text]
    assert wrong == []
