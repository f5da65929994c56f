"""Every decoder of transformers: padded as alone, packed as padded, in a batch as alone, merged as adapted.

What cannot do a thing must say so (``can_pack``, ``refuse_unfit``) and not do it wrongly.
"""

import copy
import random
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from families import HALVES, SEE_AHEAD, UNMADE, decoders, every_kind, tiny
from transformers import AutoConfig

from tunesmith.errors import UserError
from tunesmith.model.check.architecture import ENCODERS, refuse_seeing_ahead, refuse_unfit
from tunesmith.model.tune.lora import add_adapters
from tunesmith.recipe.schema.tune import Lora
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.tasks.language.causal_lm import CausalLM
from tunesmith.tasks.language.generation import generate
from tunesmith.tasks.language.packing import can_pack

LANGUAGE = CAUSAL_LM
OF_EACH_SORT = {
    "olmo2": "dense",
    "mistral": "sliding window",
    "olmoe": "experts",
    "mamba2": "states",
    "jamba": "states and attention",
    "falcon": "distances (ALiBi)",
    "deepseek_v3": "latent attention",
    "gpt_neo": "local attention",
}
SAMPLE = random.Random(11).sample([kind for kind in decoders() if kind not in OF_EACH_SORT], 2)
OPENING = list(range(21, 29))
SHARED = [OPENING + tail for tail in ([31, 32, 33, 34], [41], list(range(51, 60)), [61, 62])]
APART = [list(range(11, 16)), [21, 22], list(range(31, 41))]


def task(packed: bool) -> CausalLM:
    return CausalLM(SimpleNamespace(pad_token_id=0, eos_token_id=1), max_length=64, packed=packed)  # type: ignore[arg-type]


def examples(sequences, start):
    marks = [[int(index >= min(start, len(ids) - 1)) for index in range(len(ids))] for ids in sequences]
    return [{"input_ids": ids, "supervised": one} for ids, one in zip(sequences, marks, strict=True)]


BATCHES = [examples(SHARED, len(OPENING)), examples(APART, 1)]


def learnt(model, loss) -> list[float]:
    """Losses of two steps, on a copy."""
    model = copy.deepcopy(model)
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.01), []
    for batch in BATCHES:
        total = loss(model, batch)
        losses.append(float(total.detach()))
        (total / 10).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return losses


def of_the_task(packed: bool):
    made = task(packed)
    return lambda model, batch: made.loss(model, made.collate(batch)).total


def alone(model, batch):
    """By the definition: one example after the other, no mask, no padding."""
    total = torch.zeros(())
    for example in batch:
        ids, marks = torch.tensor(example["input_ids"]), torch.tensor(example["supervised"])
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1].float()
        total = total + (F.cross_entropy(logits, ids[1:], reduction="none") * marks[1:]).sum()
    return total


@torch.no_grad()
def greedy(model, prompt, most):
    ids = list(prompt)
    for _ in range(most):
        ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def check_answers(model) -> None:
    for prompts in (SHARED, SHARED + APART):
        wanted = [greedy(model, prompt, 6) for prompt in prompts]
        found = generate(model, prompts, end_tokens=(), pad_token=0, max_new_tokens=6, batch_size=8)
        assert found == wanted


def check_adapters(model) -> None:
    """Merged they give the same logits, and every one of them learns."""
    wrapped = add_adapters(model, Lora(rank=2), task=LANGUAGE, whole=(), fresh=()).eval()
    torch.manual_seed(1)
    learning = {name: weight for name, weight in wrapped.named_parameters() if weight.requires_grad}
    for weight in learning.values():
        torch.nn.init.normal_(weight.data, std=0.2)
    ids = torch.tensor([SHARED[0]])
    wanted = wrapped(input_ids=ids, use_cache=False).logits.float()
    wanted.logsumexp(-1).sum().backward()
    wanted = wanted.detach()
    still = [name for name, weight in learning.items() if weight.grad is None or not weight.grad.any()]
    # What compresses blocks of many tokens (DeepSeek 4) has none to compress in a short text.
    assert [name for name in still if ".compressor." not in name] == []
    with torch.no_grad():
        merged = wrapped.merge_and_unload()(input_ids=ids, use_cache=False).logits.float()
    assert float((merged - wanted).abs().max()) < 1e-3 * float(wanted.abs().max())


def check(kind: str) -> None:
    model = tiny(kind)
    refuse_unfit(model.config, LANGUAGE)
    refuse_seeing_ahead(model)
    wanted = pytest.approx(learnt(model, alone), rel=1e-4)
    assert learnt(model, of_the_task(packed=False)) == wanted
    if can_pack(model.config, type(model)):
        assert learnt(model, of_the_task(packed=True)) == wanted
    check_answers(model)
    check_adapters(model)


@pytest.mark.parametrize("kind", [*OF_EACH_SORT, *SAMPLE])
def test_one_of_each_sort(kind) -> None:
    check(kind)


@pytest.mark.parametrize("kind", ["lfm2_moe", "minimax", "moshi", "rwkv"])
def test_answers_beside_a_cache_of_another_kind(kind) -> None:
    check_answers(tiny(kind))


@pytest.mark.parametrize("kind", ["llama4_text", "phimoe", "deepseek_v32", "zamba", "zamba2"])
def test_adapters_beside_routers_and_indexers_and_in_shared_blocks(kind) -> None:
    check_adapters(tiny(kind))


@pytest.mark.long
@pytest.mark.timeout(1200)  # reference kernels of linear attention are slow on a processor
@pytest.mark.parametrize("kind", decoders())
def test_every_family(kind) -> None:
    check(kind)


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted((ENCODERS | SEE_AHEAD) - {"reformer"}))
def test_what_sees_ahead_is_refused(kind) -> None:
    model = tiny(kind)
    with pytest.raises(UserError, match="sees the tokens that follow"):
        refuse_seeing_ahead(model)
    if kind in ENCODERS:
        with pytest.raises(UserError, match="sees the tokens that follow"):
            refuse_unfit(model.config, LANGUAGE)


@pytest.mark.parametrize("kind", HALVES)
def test_half_a_model_is_refused(kind) -> None:
    with pytest.raises(UserError, match="decoder alone"):
        refuse_unfit(AutoConfig.for_model(kind), LANGUAGE)


def test_attention_by_lot_is_refused() -> None:
    with pytest.raises(UserError, match="by lot"):
        refuse_unfit(AutoConfig.for_model("reformer", is_decoder=True), LANGUAGE)


def test_what_is_left_out_is_there() -> None:
    """What another version of transformers lacks goes from the lists; what is new is tried by itself."""
    assert {*SEE_AHEAD, *HALVES, *UNMADE, *ENCODERS} <= set(every_kind())
