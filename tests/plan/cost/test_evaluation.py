"""The plan knows what an evaluation needs: its largest pass is bounded, whatever the longest row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunesmith.data.passes import tokens_per_pass
from tunesmith.plan.cost.activations import Numbers
from tunesmith.plan.cost.dimensions import dimensions_of
from tunesmith.plan.cost.evaluation import EvalRows, evaluation_bytes, passing_bytes

SIZES = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
BERT = dimensions_of({"model_type": "bert", "vocab_size": 30522, **SIZES})
WIDE = Numbers(narrow=4, autocast=False, lora=False)


@pytest.mark.parametrize(
    ("rows", "longest", "tokens"), [(64, 20, 1280), (64, 512, 4096), (3, 512, 1536), (64, 9000, 9000)]
)
def test_the_largest_pass_is_bounded_unless_it_is_one_row(rows: int, longest: int, tokens: int) -> None:
    found = EvalRows(rows=rows, longest=longest)
    assert found.pass_tokens("cpu") == tokens
    assert evaluation_bytes(found, BERT, WIDE, "cpu") == passing_bytes(BERT, WIDE, tokens)


def test_a_gpu_scores_more_at_once() -> None:
    found = EvalRows(rows=64, longest=512)
    assert found.pass_tokens("gpu") == tokens_per_pass("cuda") > found.pass_tokens("cpu")


def test_answers_take_a_cache_of_prompts_and_new_tokens() -> None:
    llama = dimensions_of({"model_type": "llama", "vocab_size": 1000, "num_key_value_heads": 4, **SIZES})
    found = EvalRows(rows=64, longest=100, tokens=768)
    scoring = evaluation_bytes(found, llama, WIDE, "cpu")
    answers = [
        evaluation_bytes(replace(found, answers=32, new_tokens=new), llama, WIDE, "cpu") for new in (8, 64)
    ]
    assert scoring < answers[0]
    assert answers[1] - answers[0] == 32 * 56 * 2 * 12 * 4 * 64 * 4, "keys and values, blocks, heads, float32"


def test_images_are_counted_where_there_are_no_dimensions() -> None:
    found = EvalRows(rows=64, longest=196)
    one = evaluation_bytes(replace(found, rows=1), None, WIDE, "cpu", image=1e6)
    assert evaluation_bytes(found, None, WIDE, "cpu", image=1e6) == pytest.approx(one * 4096 / 196)
