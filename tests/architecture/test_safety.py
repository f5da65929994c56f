"""Nothing in the package runs what it reads: no pickle, no unsafe YAML, no code from a model's folder.

Every call that loads something by a library says whether code or pickles may come along: left unsaid, the
library's default counts, which has changed before.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FLAGS = ("trust_remote_code", "allow_pickle", "shell")
UNSAFE_YAML = {"unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
UNSAFE_LOADERS = {"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader"}


def is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node).rsplit(".", 1)[-1]


def complaint(call: ast.Call) -> str | None:
    """What is wrong with one call, or None."""
    name = ast.unparse(call.func)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if name in {"eval", "exec", "__import__", "os.system", "os.popen", "tempfile.mktemp"}:
        return f"{name}()"
    if last_name(call.func) in {"read_pickle", "load_module", "exec_module", "run_path"}:
        return f"{name}()"
    if name in {"np.load", "numpy.load"} and "allow_pickle" not in keywords:
        return f"{name} without allow_pickle=False"
    if name == "torch.load" and not is_true(keywords.get("weights_only", ast.Constant(False))):
        return "torch.load without weights_only=True"
    if name.startswith("yaml.") and last_name(call.func) in UNSAFE_YAML:
        return name
    if name in {"yaml.load", "yaml.load_all"}:
        loader = keywords.get("Loader", call.args[1] if len(call.args) > 1 else None)
        if loader is None or last_name(loader) in UNSAFE_LOADERS:
            return f"{name} with a loader that makes objects"
    for flag in FLAGS:
        if flag in keywords and is_true(keywords[flag]):
            return f"{flag}=True"
    return None


def loads_by_itself(module_text: str, call: ast.Call) -> bool:
    """Whether a call of ``from_pretrained`` stands outside of ``open_location``, which settles this."""
    if last_name(call.func) != "from_pretrained":
        return False
    segment = ast.get_source_segment(module_text, call) or ""
    told = "trust_remote_code" in segment or "SAFELY" in segment or "options" in segment
    return not told


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("eval('1')", "eval"),
        ("model.eval()", None),
        ("re.compile('a')", None),
        ("torch.load(p)", "weights_only"),
        ("torch.load(p, weights_only=False)", "weights_only"),
        ("torch.load(p, weights_only=True)", None),
        ("yaml.load(t)", "yaml.load"),
        ("yaml.load(t, Loader=yaml.FullLoader)", "yaml.load"),
        ("yaml.load(t, yaml.Loader)", "yaml.load"),
        ("yaml.load(t, Loader=StrictLoader)", None),
        ("yaml.unsafe_load(t)", "unsafe_load"),
        ("auto.from_pretrained(p, trust_remote_code=True)", "trust_remote_code"),
        ("auto.from_pretrained(p, trust_remote_code=recipe.model.trust_remote_code)", None),
        ("subprocess.run(c, shell=True)", "shell"),
        ("subprocess.Popen(c, shell=True)", "shell"),
        ("exec(text)", "exec"),
        ("pandas.read_pickle(p)", "read_pickle"),
        ("np.load(p)", "allow_pickle"),
        ("np.load(p, allow_pickle=True)", "allow_pickle"),
        ("np.load(p, allow_pickle=False)", None),
        ("runpy.run_path(p)", "run_path"),
    ],
)
def test_the_check_itself(code: str, word: str | None) -> None:
    call = ast.parse(code).body[0].value  # type: ignore[attr-defined]
    found = complaint(call)
    assert found is None if word is None else word in (found or "")


def test_no_call_runs_what_it_reads(modules) -> None:
    wrong = [
        f"{module.path}:{call.lineno}: {found}"
        for module in modules
        for call in module.calls()
        if (found := complaint(call)) is not None
    ]
    assert not wrong, "\n".join(wrong)


def test_no_mapping_of_options_switches_it_on(modules) -> None:
    """``{"trust_remote_code": True}``, to be handed on with two stars."""
    wrong = [
        f"{module.path}:{node.lineno}: {key.value}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value in FLAGS and is_true(value)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_loader_says_whether_code_may_come_along(modules) -> None:
    wrong = [
        f"{module.path}:{call.lineno}"
        for module in modules
        for call in module.calls()
        if loads_by_itself(module.text, call) and "PeftConfig" not in ast.unparse(call.func)
    ]
    # Adapters are weights and JSON, and are opened inside `without_pickles`.
    assert [place for place in wrong if "infer/open_run.py" not in place] == []
    assert len(wrong) <= 1, wrong


def test_nothing_is_pickled(modules) -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] in PICKLES
    ]
    assert not wrong, "\n".join(wrong)


def test_every_file_of_text_is_opened_in_an_encoding_that_is_named() -> None:
    """In a locale that is not UTF-8, text that is not ASCII is lost or refused otherwise."""
    command = [sys.executable, "-m", "ruff", "check", "--preview", "--select", "PLW1514", "src"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
