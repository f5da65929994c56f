"""Combinations that the schema allows and that cannot work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.recipe.check.metric_names import metric_limits, stop_metrics
from tunesmith.recipe.load import load_recipe
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.schema.stop import StopRule
from tunesmith.recipe.tasks.table import TASKS as SPECS

TASKS = {
    "causal-lm": "{source: ./rows.jsonl, prompt: question, completion: answer}",
    "sequence-classification": "{source: ./rows.jsonl, text: question, label: answer}",
    "regression": "{source: ./rows.jsonl, text: question, target: answer}",
    "image-classification": "{source: ./rows.jsonl, image: question, label: answer}",
}


def recipe_for(
    task: str = "causal-lm", *, train: str = "", model: str = "{source: org/name}", more: str = ""
) -> str:
    return (
        f"task: {task}\nmodel: {model}\ndata:\n  train: {train or TASKS[task]}\n"
        f"optimizer: {{learning_rate: 1e-3}}\nbatch: {{size: 8}}\n{more}\n"
    )


CASES = [
    (
        recipe_for("regression", more="eval: {harness: [arc_easy]}"),
        "7:8",
        "`eval.harness` is for task `causal-lm`",
    ),
    (
        recipe_for(more="stop: [{target: {harness/arc_easy/acc: 0.5}}]"),
        "7:18",
        "needs `eval.harness`",
    ),
    (recipe_for(more="eval: {metrics: [judge]}"), "7:1", "metric `judge` needs `eval.judge`"),
    (
        recipe_for(more="eval: {metrics: [judge], judge: {url: here, model: m}}"),
        "7:39",
        "is not the address of an endpoint",
    ),
    (
        recipe_for(more="eval: {metrics: [judge], judge: {url: 'http://x/v1', model: m, scale: [5, 1]}}"),
        "7:64",
        "`eval.judge.scale` goes from 5 to 1",
    ),
    (
        recipe_for(more="eval: {metrics: [judge], judge: {url: 'http://x/v1', model: m, prompt: Good?}}"),
        "7:72",
        "does not show the answer",
    ),
    (
        recipe_for(more="eval: {metrics: [judge], judge: {url: 'http://x/v1', model: m, prompt: '{anser}'}}"),
        "7:72",
        "has a field `{anser}`",
    ),
    (recipe_for(more="eval: {metrics: [regex]}"), "7:1", "metric `regex` needs `eval.regex`"),
    (recipe_for(more="eval: {regex: a+}"), "7:8", "`eval.regex` is there, and no metric uses it"),
    (
        recipe_for(more="eval: {metrics: [regex], regex: '(a'}"),
        "7:33",
        "`eval.regex` is not a regular expression",
    ),
    (
        recipe_for(more="eval: {metrics: [json_schema], json_schema: {typ: object}}"),
        "7:32",
        "`eval.json_schema`: `typ` is not understood",
    ),
    (recipe_for(more="eval: {code: {time: 9s}}"), "7:8", "`eval.code` is there, and no metric uses it"),
    (
        recipe_for("sequence-classification", more="eval: {metrics: [code]}"),
        "7:18",
        "metric `code` looks at generated text",
    ),
    (
        recipe_for("regression", more="eval: {metrics: [ece]}"),
        "7:18",
        "task `regression` cannot give metric `ece`",
    ),
    (recipe_for(more="eval: {metrics: [brier]}"), "7:18", "task `causal-lm` cannot give metric `brier`"),
    (
        recipe_for("regression", more="eval: {positions: true}"),
        "7:8",
        "`eval.positions` is for task `causal-lm`",
    ),
    (
        recipe_for(more="eval: {positions: true, slices: position}"),
        "7:8",
        "would share their names",
    ),
    (recipe_for(more="run: {trackers: [wandb, wandb]}"), "7:25", "tracker `wandb` stands twice"),
    (
        recipe_for(more='run: {trackers: [{name: mlflow, project: "a\'b"}]}'),
        "7:42",
        "cannot be the name of a project",
    ),
    (
        recipe_for(more="run: {trackers: [{name: wandb, address: 'http://x'}]}"),
        "7:32",
        "`address` is for `mlflow`",
    ),
    (
        recipe_for(more="run: {trackers: [{name: mlflow, address: here}]}"),
        "7:42",
        "is not the address of an MLflow server",
    ),
    (recipe_for(model="{dtype: auto}"), "2:1", "`model` has neither `source` nor `new`"),
    (
        recipe_for(model="{source: a/b, new: {model_type: llama}, tokenizer: {source: a/b}}"),
        "2:1",
        "has both",
    ),
    (recipe_for(model="{new: {model_type: llama}}"), "2:9", "a new model needs `model.tokenizer`"),
    (recipe_for(model="{new: {x: 1}, tokenizer: {source: a/b}}"), "2:9", "`model.new.model_type` is missing"),
    (recipe_for(model="{source: a/b, tokenizer: {}}"), "2:22", "`model.tokenizer` has neither"),
    (
        recipe_for(model="{new: {model_type: llama}, tokenizer: {source: a/b, train: {vocab_size: 9}}}"),
        "2:35",
        "`model.tokenizer` has both",
    ),
    (recipe_for(model="{source: a/b, tokenizer: {train: {vocab_size: 9}}}"), "2:34", "does not fit a model"),
    (
        recipe_for(model="{new: {model_type: llama, vocab_size: 8}, tokenizer: {train: {vocab_size: 9}}}"),
        "2:46",
        "`model.new.vocab_size` (8) is smaller than the tokenizer's (9)",
    ),
    (
        recipe_for(model="{source: ./rows.jsonl, revision: main}"),
        "2:31",
        "`model.revision` means something only",
    ),
    (
        recipe_for(model="{source: a/b, sha256: abc}"),
        "2:30",
        "`model.sha256` must have 64 hexadecimal digits",
    ),
    (
        recipe_for("regression", model="{source: a/b, chat_template: '{{ x }}'}"),
        "2:22",
        "means nothing for task",
    ),
    (
        recipe_for("image-classification", model="{source: a/b, tokenizer: {source: a/b}}"),
        "2:22",
        "an image task has no tokenizer",
    ),
    (
        recipe_for("image-classification", train="{source: ./rows.jsonl, text: a}"),
        "4:33",
        "task `image-classification` has no field `text`",
    ),
    (recipe_for(train=TASKS["regression"]), "4:49", "task `causal-lm` has no field `target`"),
    (recipe_for(train="{source: ./rows.jsonl, prompt: a}"), "4:33", "`prompt` needs `completion` beside it"),
    (recipe_for(train="{source: ./rows.jsonl, output: a}"), "4:33", "`output` needs `instruction` beside it"),
    (
        recipe_for(train="{source: ./rows.jsonl, text: a, messages: b}"),
        "4:33",
        "describe the row in different ways",
    ),
    (recipe_for(train="{source: ./rows.jsonl, text: a, system: b}"), "4:42", "`system` means nothing"),
    (
        recipe_for(train="{source: ./rows.jsonl, arguments: {a: 1}}"),
        "4:33",
        "`arguments` are for a `python:` source",
    ),
    (
        recipe_for(train="{source: ./rows.jsonl, pattern: '(a'}"),
        "4:42",
        "`pattern` is not a regular expression",
    ),
    (recipe_for(train="{source: ./rows.jsonl, pattern: 'a'}"), "4:42", "`pattern` has no named group"),
    (recipe_for(train="{source: ./rows.jsonl, revision: main}"), "4:33", "`revision` means something only"),
    (
        recipe_for("regression", more="eval: {generate: {max_new_tokens: 3}}"),
        "7:8",
        "`eval.generate` is for task `causal-lm`",
    ),
    (
        recipe_for(more="tune: {layers: {}}"),
        "7:8",
        "must have exactly one of `last`, `first` and `match`; it has none",
    ),
    (recipe_for(more="tune: {layers: {last: 1, first: 2}}"), "7:8", "it has 2"),
    (recipe_for(more="tune: {layers: {match: '(a'}}"), "7:24", "is not a regular expression"),
    (recipe_for(more="tune: {layers: [head, all]}"), "7:8", "`all` or `none` beside other choices"),
    (recipe_for(more="tune: {layers: none}"), "7:16", "nothing would be trained"),
    (recipe_for(more="tune: {save_modules: [a]}"), "7:8", "`tune.save_modules` needs `tune.lora`"),
    (recipe_for(more="tune: {layers: all, lora: {}}"), "7:16", "`tune.layers: all` trains everything"),
    (recipe_for(more="tune: {lora: {targets: '(a'}}"), "7:24", "is not a regular expression"),
    (recipe_for(more="eval: {metrics: [bleuu]}"), "7:18", "unknown metric `bleuu`"),
    (
        recipe_for(more="eval: {metrics: [accuracy]}"),
        "7:18",
        "task `causal-lm` cannot give metric `accuracy`",
    ),
    (
        recipe_for("regression", more="eval: {metrics: [bleu]}"),
        "7:18",
        "metric `bleu` looks at generated text",
    ),
    (recipe_for(more="eval: {metrics: [bleu, bleu]}"), "7:24", "metric `bleu` stands twice"),
    (recipe_for(more="stop:\n  - target: {f2: 0.5}"), "8:14", "unknown metric `f2`"),
    (recipe_for(more="stop:\n  - plateau: {metric: acuracy}"), "8:23", "unknown metric `acuracy`"),
    (recipe_for("regression", more="stop:\n  - target: {pearson: 91}"), "8:23", "can never be reached"),
    (recipe_for(more="stop:\n  - target: {loss: -1}"), "8:20", "target `loss: -1` can never be reached"),
    (recipe_for(more="stop:\n  - target: {bleu: -1}"), "8:20", "target `bleu: -1` is reached by every model"),
    (recipe_for(more="stop:\n  - target: {}"), "8:5", "a target without a metric"),
    (recipe_for(more="stop:\n  - {plateau: {}, budget: {steps: 1}}"), "8:5", "exactly one of"),
    (recipe_for(more="stop:\n  - {}"), "8:5", "this one has none"),
    (recipe_for(more="stop:\n  - budget: {}"), "8:5", "a budget without a limit"),
    (
        recipe_for(more="stop:\n  - budget: {steps: 1}\n  - budget: {steps: 2}"),
        "9:14",
        "a budget of `steps` stands twice",
    ),
    (recipe_for(more="stop: []"), "7:1", "`stop` is empty"),
    (
        recipe_for(more="stop:\n  - plateau: {metric: bleu, min_gain: 1}"),
        "8:39",
        "no gain of `bleu` can reach",
    ),
    (recipe_for(more="stop: [budget: {time: 1m}]"), "5:1", "schedule `cosine` must know how many steps"),
    (recipe_for(more="run: {merge: 'yes'}"), "7:14", "`run.merge: yes` needs an adapter"),
    (recipe_for(more="run: {variants: {a/b: {batch.size: 4}}}"), "7:18", "cannot be the name of a variant"),
    (recipe_for(more="run: {variants: {..: {batch.size: 4}}}"), "7:18", "cannot be the name of a variant"),
    (recipe_for(more="run: {variants: {a: {run.dir: x}}}"), "7:22", "variant `a` cannot set `run.dir`"),
    (recipe_for(more="run: {variants: {a: {}}}"), "7:18", "variant `a` changes nothing"),
    (
        recipe_for(more="run: {variants: {a: {batch.micro: 3}}}"),
        "7:35",
        "variant `a`: `batch.micro` (3) does not divide",
    ),
]


@pytest.mark.parametrize(("text", "place", "what"), CASES, ids=[what for _, _, what in CASES])
def test_an_impossible_combination(message: Callable[..., str], text: str, place: str, what: str):
    shown = message(text)
    assert shown.startswith(f"r.yaml:{place}: "), shown
    assert what in shown.split("\n")[0]
    assert "hint: " in shown
    assert "mistakes" not in shown


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ("stop:\n  - target: {exact_match: 85}", "fractions of 1: write 0.85"),
        ("stop:\n  - target: {perplexity: 0.5}", "choose a value from 1 up"),
        ("eval: {metrics: [bleuu]}", "did you mean `bleu`? This task gives `loss`, `perplexity`"),
    ],
)
def test_the_hint_says_what_to_write(message: Callable[..., str], more: str, hint: str):
    assert f"hint: {hint}" in message(recipe_for(more=more))


@pytest.mark.parametrize(
    ("size", "micro", "hint"),
    [
        (8, 3, "2 or 4; or write `batch.size: 9`"),
        (100, 30, "25 or 50"),
        (8, 16, "8; or write `batch.size: 16`"),
        (7, 2, "1 or 7"),
    ],
)
def test_a_micro_batch_that_does_not_divide_names_the_nearest_that_do(
    message: Callable[..., str], size: int, micro: int, hint: str
):
    shown = message(recipe_for(), f"batch.size={size}", f"batch.micro={micro}")
    assert f"`batch.micro` ({micro}) does not divide `batch.size` ({size})" in shown
    assert hint in shown


def test_huge_batches_are_judged_quickly(message: Callable[..., str]):
    assert "does not divide" in message(recipe_for(), f"batch.size={10**60 + 7}", f"batch.micro={10**40}")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_recipe_that_is_good(write: Callable[..., Path], task: str):
    pinned = f"'hub:wer@{40 * 'a'}'"
    needed = ", regex: a+, json_schema: {type: object}, judge: {url: 'http://x/v1', model: m}"
    needed = needed if task == "causal-lm" else ""
    more = f"eval: {{metrics: [{', '.join(map(repr, SPECS[task].metrics))}, {pinned}]{needed}}}"
    recipe = load_recipe(write(recipe_for(task, more=more)))
    assert recipe.task.name == task


GOOD_ONES = [
    "stop:\n  - target: {exact_match: 0.9}\n  - budget: {time: 1h30m, steps: 10}\n  - divergence: {}",
    "stop:\n  - target: {loss: 0.1}",
    "stop:\n  - target: {'hub:wer@0123456789abcdef0123456789abcdef01234567': 85}",
    "tune: {layers: [head, {last: 2}, {match: 'norm'}], lora: {layers: {first: 1}, targets: [q_proj]}}",
    "tune: {lora: {targets: '.*_proj'}, save_modules: [lm_head]}",
    "run: {variants: {a: {tune.layers: head}, b: {tune: {layers: all}}}}",
]


@pytest.mark.parametrize("more", GOOD_ONES)
def test_good_combinations_pass(write: Callable[..., Path], more: str):
    assert load_recipe(write(recipe_for(more=more)))


def test_constant_schedule_needs_no_count_of_steps(write: Callable[..., Path]):
    text = recipe_for(more="stop: [budget: {time: 1m}]").replace("1e-3", "1e-3, schedule: constant")
    assert load_recipe(write(text)).optimizer.schedule == "constant"


def test_metric_names_are_those_that_can_be_computed():
    from tunesmith.metrics.table import METRICS

    assert {name for spec in SPECS.values() for name in spec.metrics} == set(METRICS)
    for name, spec in METRICS.items():
        assert metric_limits(name) == (spec.low, spec.high), name
    assert metric_limits("general/mcc") == metric_limits("mcc[lang=de]") == (-1.0, 1.0)


def test_stop_metrics_lists_each_once(write: Callable[..., Path]):
    recipe: Recipe = load_recipe(write(recipe_for()))
    rules = (
        StopRule(target={"f1": 0.5, "loss": 1.0}),
        StopRule.model_validate({"plateau": {"metric": "f1"}}),
    )
    assert stop_metrics(recipe.model_copy(update={"stop": rules})) == ("f1", "loss")


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("hidden_size: 0", "from 1 to"),
        ("num_hidden_layers: 1000000", "from 1 to 10,000"),
        ("num_key_value_heads: two", "from 1 to"),
        ("attention_dropout: 1.5", "from 0 to 1"),
        ("pad_token_id: -1", "a token's number"),
        ("num_labels: 3", "known from the data"),
        ("id2label: {0: a}", "known from the data"),
    ],
)
def test_configurations_that_no_model_can_have(message: Callable[..., str], setting: str, word: str):
    name = setting.partition(":")[0]
    shown = message(
        recipe_for(model=f"{{new: {{model_type: llama, {setting}}}, tokenizer: {{source: a/b}}}}")
    )
    assert f"`model.new.{name}`" in shown
    assert word in shown


def test_code_from_a_hub_needs_its_commit(message: Callable[..., str], write: Callable[..., Path]):
    def trusting(source: str, revision: str = "") -> str:
        return recipe_for(model=f"{{source: {source}, trust_remote_code: true{revision}}}")

    assert "needs `model.revision`" in message(trusting("org/name"))
    assert "40 hexadecimal" in message(trusting("org/name", ", revision: main"))
    assert "40 hexadecimal" in message(trusting("org/name", f", revision: {'A' * 40}"))
    assert "for a source on the hub" in message(trusting("./rows.jsonl"))
    assert load_recipe(write(trusting("org/name", f", revision: {'a' * 40}"))).model.trust_remote_code
    assert not load_recipe(write(recipe_for())).model.trust_remote_code
    assert "needs its commit" in message(recipe_for(more="eval: {metrics: ['hub:wer']}"))
    assert "needs its commit" in message(recipe_for(more="eval: {metrics: ['hub:wer@main']}"))
