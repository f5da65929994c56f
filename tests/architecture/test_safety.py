"""Nothing in the package runs what it reads: no pickle, no unsafe YAML, no code from a model's folder."""

from __future__ import annotations

import ast

import pytest

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
UNSAFE_YAML = {"unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
UNSAFE_LOADERS = {"Loader", "FullLoader", "UnsafeLoader", "CLoader", "CFullLoader", "CUnsafeLoader"}


def is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def last_name(node: ast.expr) -> str:
    return ast.unparse(node).rsplit(".", 1)[-1]


def complaint(call: ast.Call) -> str | None:
    """What is wrong with one call, or None."""
    name = ast.unparse(call.func)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if name in {"eval", "exec", "__import__", "os.system", "os.popen", "tempfile.mktemp"}:
        return f"{name}()"
    if name == "torch.load" and not is_true(keywords.get("weights_only", ast.Constant(False))):
        return "torch.load without weights_only=True"
    if name.startswith("yaml.") and last_name(call.func) in UNSAFE_YAML:
        return name
    if name in {"yaml.load", "yaml.load_all"}:
        loader = keywords.get("Loader", call.args[1] if len(call.args) > 1 else None)
        if loader is None or last_name(loader) in UNSAFE_LOADERS:
            return f"{name} with a loader that makes objects"
    for flag in ("trust_remote_code", "allow_pickle", "shell"):
        if flag in keywords and is_true(keywords[flag]):
            return f"{flag}=True"
    return None


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


def test_nothing_is_pickled(modules) -> None:
    wrong = [
        f"{module.path}:{line}: {name}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] in PICKLES
    ]
    assert not wrong, "\n".join(wrong)
