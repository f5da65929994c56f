"""Each kind of mistake: the exact place, the key, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CASES = [
    # old text, new text, place, what, hint
    ("size: 8", "siez: 8", "11:9", "unknown key `batch.siez`", "did you mean `size`?"),
    ("task: causal-lm", "task: causal-ml", "1:7", "`task` must be `causal-lm`", "did you mean `causal-lm`?"),
    ("batch: {size: 8}", "", "1:1", "`batch` is missing", "add `batch:`, a mapping with `size`"),
    ("size: 8", "size: many", "11:15", "`batch.size` must be a whole number above 0; got `many`", ""),
    ("size: 8", "size: '8'", "11:15", "`batch.size` must be a whole number", "without quotes"),
    ("size: 8", "size: 0", "11:15", "`batch.size` must be a whole number above 0; got 0", ""),
    ("size: 8", "size: true", "11:15", "`batch.size` must be a whole number above 0; got true", ""),
    ("size: 8", "size: 2.5", "11:15", "`batch.size` must be a whole number above 0; got 2.5", ""),
    ("batch: {size: 8}", "batch: 8", "11:8", "`batch` must be a mapping with `size`; got 8", ""),
    ("1e-3", "fast", "10:28", "`optimizer.learning_rate` must be a number above 0; got `fast`", ""),
    ("1e-3", ".inf", "10:28", "`optimizer.learning_rate` must be a number above 0; got .inf", ""),
    ("1e-3", ".nan", "10:28", "`optimizer.learning_rate` must be a number above 0; got .nan", ""),
    (
        "1e-3",
        "1e-3, name: adam",
        "10:40",
        "`optimizer.name` must be `adamw` or `adafactor`",
        "did you mean `adamw`?",
    ),
    ("./rows.jsonl", "./row.jsonl", "6:13", "there is no file or folder", "did you mean `./rows.jsonl`?"),
    ("./rows.jsonl", "pypi:x/y.txt", "6:13", "names no exact version", "pypi:NAME==VERSION"),
    ("./rows.jsonl", "python:module", "6:13", "does not name a callable", "python:module:function"),
    ("./rows.jsonl", "https://x.org/a.jsonl", "6:13", "is an address on the web", "download"),
    ("org/name", "./nowhere", "3:11", "`model.source`: there is no file or folder", "recipe's folder"),
    ("org/name", "./other.yaml", "3:11", "`model.source`: there is no file", ""),
    ("org/name", "python:a:b", "3:11", "cannot come from a function", "org/name"),
    (
        '"Q: {question}"',
        "{question}",
        "7:5",
        "`data.train.prompt` must be text; got a mapping",
        "needs quotes",
    ),
    ("holdout: 0.2", "holdot: 0.2", "9:10", "unknown key `data.eval.holdot`", "did you mean `holdout`?"),
    ("holdout: 0.2", "holdout: all", "9:19", "`data.eval.holdout` must be a number above 0", ""),
    ("batch: {size: 8}", "batch: {size: 8}\nsotp: []", "12:1", "unknown key `sotp`", "did you mean `stop`?"),
    ("batch: {size: 8}", "batch: {size: 8}\nextend: ./b.yaml", "12:1", "unknown key `extend`", "`extends`"),
    ("batch: {size: 8}", "batch: {size: 8}\nhf_tokn: 3", "12:1", "unknown key `hf_tokn`", "keys here: batch"),
]
SECTIONS = [
    ("eval: {every: often}", "12:15", "`eval.every` must be a frequency such as `20 steps`"),
    ("eval: {every: -5}", "12:15", "`eval.every` must be a frequency"),
    ("eval: {baseline: yes}", "12:18", "`eval.baseline` must be `true` or `false`; got `yes`"),
    ("eval: {baseline: off}", "12:18", "`eval.baseline` must be `true` or `false`; got `off`"),
    ("eval: {metrics: f1}", "12:17", "`eval.metrics` must be a list of texts; got `f1`"),
    ("stop:\n  - budget: {time: soon}", "13:20", "`stop.0.budget.time` must be a duration such as `90s`"),
    ("stop:\n  - target: {loss: low}", "13:20", "`stop.0.target.loss` must be a number; got `low`"),
    ("stop:\n  - traget: {loss: 1}", "13:5", "unknown key `stop.0.traget`"),
    (
        "stop: {budget: {steps: 3}}",
        "12:1",
        "`stop` must be a list, each item a mapping with `target`, `plateau`, `divergence` or `budget`; got",
    ),
    (
        "tune: {layers: 3}",
        "12:16",
        "`tune.layers` must be `all`, `head`, `none`, a mapping with `last`, `first` or `match`, "
        "or a list of these; got 3",
    ),
    ("tune: {layers: {lst: 2}}", "12:17", "unknown key `tune.layers.lst`"),
    (
        "tune: {layers: [head, {last: 0}]}",
        "12:30",
        "`tune.layers.1.last` must be a whole number above 0; got 0",
    ),
    ("tune: {lora: 8}", "12:14", "`tune.lora` must be a mapping with `rank`"),
    ("tune: {lora: {rank: 8, rnak: 4}}", "12:24", "unknown key `tune.lora.rnak`"),
    ("run: {seed: -1}", "12:13", "`run.seed` must be a whole number of at least 0"),
    ("run: {threads: many}", "12:16", "`run.threads` must be `auto` or a whole number above 0; got `many`"),
    ("run: {variants: {a: 3}}", "12:21", "`run.variants.a` must be a mapping; got 3"),
    ("run: {variants: {a: {tune.layrs: head}}}", "12:22", "variant `a`: unknown key `tune.layrs`"),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}: {case[3]}" for case in CASES])
def test_a_mistake_in_the_recipe(
    message: Callable[..., str], good: str, case: tuple[str, str, str, str, str]
):
    old, new, place, what, hint = case
    assert old in good
    shown = message(good.replace(old, new))
    assert shown.startswith(f"r.yaml:{place}: ")
    first, *rest = shown.split("\n")
    assert what in first
    assert hint in rest[-1]
    assert "mistakes" not in shown, "one mistake, one finding"


@pytest.mark.parametrize(("section", "place", "what"), SECTIONS)
def test_a_mistake_in_an_added_section(
    message: Callable[..., str], good: str, section: str, place: str, what: str
):
    shown = message(good + section + "\n")
    assert shown.startswith(f"r.yaml:{place}: {what}"), shown
    assert "mistakes" not in shown


def test_the_message_has_the_shape_of_a_compiler_s(message: Callable[..., str], good: str):
    text = good.replace("optimizer: {learning_rate: 1e-3}", "optimizer:\n  learning_rat: 2e-4")
    assert message(text) == (
        "r.yaml:11:3: unknown key `optimizer.learning_rat`\n"
        "  11 |   learning_rat: 2e-4\n"
        "     |   ^^^^^^^^^^^^\n"
        "hint: did you mean `learning_rate`? Keys here: betas, clip, eps, final_learning_rate, "
        "learning_rate, name, schedule, warmup, weight_decay"
    )


def test_all_mistakes_come_at_once_in_the_order_of_the_file(message: Callable[..., str], good: str):
    text = good.replace("size: 8", "size: x").replace("org/name", "./gone").replace("holdout", "holdut")
    shown = message(text, "run.sed=3")
    heads = [block.split("\n")[0] for block in shown.split("\n\n")]
    assert [head.split(": ")[0] for head in heads] == [
        "r.yaml:3:11",
        "r.yaml:9:10",
        "r.yaml:11:15",
        "override `run.sed=3`",
        "4 mistakes",
    ]


def test_a_flood_of_mistakes_is_cut(message: Callable[..., str], good: str):
    shown = message(good + "".join(f"unknown{n}: 1\n" for n in range(5000)))
    assert shown.endswith("200 mistakes, the first 20 shown")
    assert shown.count("unknown key") == 20


def test_a_long_line_is_cut_around_the_place(message: Callable[..., str], good: str):
    shown = message(good.replace("size: 8", "size: 8" + " " * 300 + ", siez: 1"))
    lines = shown.split("\n")
    assert all(len(line) < 110 for line in lines[1:3])
    assert lines[1][lines[2].index("^") :].startswith("siez")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "r.yaml:1:1: the file is empty"),
        ("# only a comment\n", "r.yaml:1:1: the file is empty"),
        ("just words\n", "r.yaml:1:1: a recipe is a mapping of sections; this is `just words`"),
        ("- a\n", "r.yaml:1:1: a recipe is a mapping of sections; this is a list"),
    ],
)
def test_files_that_are_no_recipes(message: Callable[..., str], text: str, what: str):
    assert message(text).startswith(what)


def test_a_missing_recipe_names_the_nearest(write: Callable[..., Path], good: str):
    from tunesmith.errors import UserError
    from tunesmith.recipe.load import load_recipe

    write(good, "gpt_sft.yaml")
    with pytest.raises(UserError) as caught:
        load_recipe(Path("gpt_stf.yaml"))
    assert (
        str(caught.value)
        == "gpt_stf.yaml: there is no recipe `gpt_stf.yaml`\nhint: did you mean `gpt_sft.yaml`?"
    )
    with pytest.raises(UserError, match="is not a file"):
        load_recipe(Path())


@pytest.mark.parametrize(
    ("key", "section", "meant"),
    [
        ("lr", "", "optimizer.learning_rate"),
        ("r", "tune.lora", "tune.lora.rank"),
        ("lora_alpha", "tune.lora", "tune.lora.alpha"),
        ("lora_alpha", "", "tune.lora.alpha"),
        ("epochs", "", "stop.budget"),
        ("num_train_epochs", "", "stop.budget"),
        ("batch_size", "", "batch.size"),
        ("gradient_accumulation_steps", "batch", "batch.size"),
        ("bf16", "", "model.dtype"),
        ("max_seq_length", "data", "data.max_length"),
        ("cutoff_len", "", "data.max_length"),
        ("micro_batch_size", "", "batch.micro"),
        ("base_model", "", "model.source"),
        ("val_set_size", "", "data.eval"),
        ("output_dir", "", "run.dir"),
        ("load_in_4bit", "model", "model.quantize"),
    ],
)
def test_words_of_other_tools_are_understood(key: str, section: str, meant: str):
    from tunesmith.recipe.check.aliases import habit

    found = habit(key, section)
    assert found is not None
    assert f"did you mean `{meant}`?" in found.hint()


def test_every_key_that_a_habit_leads_to_is_one():
    from tunesmith.recipe.check import introspect
    from tunesmith.recipe.check.aliases import known_habits
    from tunesmith.recipe.schema.recipe import Recipe

    for word, found in known_habits().items():
        annotation = Recipe
        for step in found.key.split(".") if found.key else []:
            annotation = introspect.child(introspect.item_type(annotation) or annotation, step)
            assert annotation is not None, f"{word}: {found.key}"
        assert found.hint()
