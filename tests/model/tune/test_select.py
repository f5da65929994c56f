"""Which parameters learn, for the names that real architectures have."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.model.tune.select import block_of, block_stack, blocks_in_range, select
from tunesmith.recipe.schema.tune import LayerRange


def outline(kind: str, **settings) -> dict[str, int]:
    import transformers as t

    small = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "vocab_size": 50}
    deep = {**small, "num_hidden_layers": 12}
    with torch.device("meta"):
        model = {
            "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**deep, **settings)),
            "bert": lambda: t.BertForSequenceClassification(t.BertConfig(**deep)),
            "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_embd=16, n_layer=12, n_head=2, vocab_size=50)),
            "resnet": lambda: t.ResNetForImageClassification(t.ResNetConfig()),
        }[kind]()
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


OUTLINES = {kind: outline(kind) for kind in ("llama", "bert", "gpt2", "resnet")}
STACKS = {
    "llama": ("model.layers", 12),
    "bert": ("bert.encoder.layer", 12),
    "gpt2": ("transformer.h", 12),
    "resnet": ("resnet.encoder.stages", 4),
}
HEADS = {
    "llama": {"lm_head.weight"},
    "bert": {"classifier.weight", "classifier.bias"},
    "resnet": {"classifier.1.weight", "classifier.1.bias"},
}
KINDS = st.sampled_from(sorted(STACKS))
CHOICES = st.one_of(
    st.sampled_from(["all", "none"]),
    st.integers(1, 4).map(lambda n: LayerRange(last=n)),
    st.integers(1, 4).map(lambda n: LayerRange(first=n)),
    st.just(LayerRange(match="weight$")),
)


@pytest.mark.parametrize("kind", STACKS)
def test_the_stack_is_the_list_that_holds_most_parameters(kind) -> None:
    stack, count = STACKS[kind]
    assert block_stack(OUTLINES[kind]) == stack
    assert {block_of(name, stack) for name in OUTLINES[kind]} - {None} == set(range(count))


@given(kind=KINDS, share=st.floats(0.01, 1), end=st.sampled_from(["first", "last"]))
def test_first_and_last_take_whole_blocks_of_their_end(kind, share, end) -> None:
    stack, count = STACKS[kind]
    wanted = max(1, round(share * count))
    chosen = select(OUTLINES[kind], LayerRange(**{end: wanted}))
    blocks = range(wanted) if end == "first" else range(count - wanted, count)
    assert chosen == {n for n in OUTLINES[kind] if any(n.startswith(f"{stack}.{i}.") for i in blocks)}


@pytest.mark.parametrize("end", ["first", "last"])
@pytest.mark.parametrize("kind", STACKS)
def test_more_blocks_than_there_are_is_refused_with_both_numbers(kind, end) -> None:
    count = STACKS[kind][1]
    with pytest.raises(UserError, match=f"the model has {count} blocks, .* asks for {count + 1}"):
        select(OUTLINES[kind], LayerRange(**{end: count + 1}))


@given(count=st.integers(1, 200), wanted=st.integers(1, 200))
def test_ranges_hold_as_many_blocks_as_asked(count, wanted) -> None:
    for layers in (LayerRange(first=wanted), LayerRange(last=wanted)):
        if wanted > count:
            with pytest.raises(UserError):
                blocks_in_range(count, layers)
        else:
            chosen = blocks_in_range(count, layers)
            assert len(chosen) == wanted
            assert (count - 1 if layers.last else 0) in chosen


@pytest.mark.parametrize("kind", HEADS)
def test_the_head_is_the_output_layer(kind) -> None:
    assert select(OUTLINES[kind], "head") == HEADS[kind]


@pytest.mark.parametrize("kind", ["gpt2", "tied llama"])
def test_a_tied_output_layer_is_no_head_and_the_message_says_why(kind) -> None:
    names = OUTLINES["gpt2"] if kind == "gpt2" else outline("llama", tie_word_embeddings=True)
    with pytest.raises(UserError) as caught:
        select(names, "head")
    assert "tied" in str(caught.value)
    assert list(names)[-1] in caught.value.hint


MATCHES = [
    ("llama", r"norm", lambda n: "norm" in n),
    ("llama", r"layers\.1\.", lambda n: n.startswith("model.layers.1.")),
    ("llama", r"^model\.embed_tokens", lambda n: n == "model.embed_tokens.weight"),
    ("bert", r"layer\.(0|3)\.attention", lambda n: "layer.0.attention" in n or "layer.3.attention" in n),
    ("gpt2", r"\.bias$", lambda n: n.endswith(".bias")),
    ("resnet", r"embedder", lambda n: "embedder" in n),
]


@pytest.mark.parametrize(("kind", "pattern", "wanted"), MATCHES)
def test_match_searches_whole_names(kind, pattern, wanted) -> None:
    expected = {name for name in OUTLINES[kind] if wanted(name)}
    assert expected
    assert select(OUTLINES[kind], LayerRange(match=pattern)) == expected


@pytest.mark.parametrize(
    ("kind", "pattern", "near"),
    [
        ("llama", "lm_haed.weight", "lm_head.weight"),
        ("bert", "clasifier.weight", "classifier.weight"),
        ("gpt2", "wte.wieght", "wte.weight"),
        ("resnet", "zzzzz", "resnet.embedder"),
    ],
)
def test_a_match_of_nothing_is_refused_with_names_that_are_near(kind, pattern, near) -> None:
    with pytest.raises(UserError, match="matches no parameter") as caught:
        select(OUTLINES[kind], LayerRange(match=pattern))
    assert pattern in caught.value.what
    assert near in caught.value.hint


@given(kind=KINDS, choices=st.lists(CHOICES, max_size=4), seed=st.randoms(use_true_random=False))
def test_a_list_is_the_union_and_fresh_parameters_always_learn(kind, choices, seed) -> None:
    sizes = OUTLINES[kind]
    fresh = set(seed.sample(sorted(sizes), 3))
    apart = [select(sizes, choice) for choice in choices]
    assert select(sizes, choices, fresh) == frozenset(fresh).union(*apart)
    assert select(sizes, "none", fresh) == fresh
    assert select(sizes, "all") == set(sizes)


def test_a_model_without_blocks_is_told_to_match_names() -> None:
    with pytest.raises(UserError, match="this model has none") as caught:
        select({"fc.weight": 4, "fc.bias": 2}, LayerRange(last=1))
    assert "match" in caught.value.hint


def test_the_outermost_list_counts() -> None:
    sizes = {"net.stages.0.layers.0.w": 5, "net.stages.0.layers.1.w": 5, "net.stages.1.layers.0.w": 5}
    assert block_stack(sizes) == "net.stages"
    assert select(sizes, LayerRange(last=1)) == {"net.stages.1.layers.0.w"}
