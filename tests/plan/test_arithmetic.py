from dataclasses import replace

from tunesmith.plan.arithmetic import Arithmetic, grouped, plan_text
from tunesmith.plan.batch import Division

PLAN = Arithmetic(
    task="causal-lm",
    train_examples=4981,
    eval_examples=400,
    tokens=234567,
    supervised_tokens=34567,
    longest=118,
    left_out={"duplicates": 10071, "too_long": 0, "truncated (kept)": 3},
    division=Division(size=8, micro=2, accumulation=2, processes=2),
    steps=1868,
    trained={"layers.*.self_attn.q_proj.lora_A": (400, 2), "layers.*.self_attn.q_proj.lora_B": (1600, 2)},
    frozen={"embed_tokens": (18000, 1)},
    dtype="float32",
    threads=1,
    device="cpu",
    layout="padded to the longest",
    learning="adamw, learning rate 0.001, linear schedule, warm-up 57 steps, clip 1.0",
    evaluation="every 20 steps: loss, exact_match",
    stops=("target: exact_match 0.85", "budget: epochs 3.0"),
)

GOLDEN = """\
data       4,981 examples to learn from, 400 to evaluate on
tokens     234,567 an epoch, 34,567 of them (15%) carry loss; longest example 118
left out   10,071 duplicates, 3 truncated (kept)
batch      8 = 2 a pass x 2 accumulated x 2 processes, padded to the longest
steps      1,868 at most = 3.00 epochs
learning   adamw, learning rate 0.001, linear schedule, warm-up 57 steps, clip 1.0
trained    2,000 parameters (10.00%)
trained              1,600  layers.*.self_attn.q_proj.lora_B x 2
trained                400  layers.*.self_attn.q_proj.lora_A x 2
frozen     18,000 parameters (90.00%)
frozen              18,000  embed_tokens x 1
numbers    float32; cpu, 1 threads a process
evaluation every 20 steps: loss, exact_match
stops      target: exact_match 0.85
stops      budget: epochs 3.0"""


def test_the_block_says_everything_that_is_multiplied():
    assert plan_text(PLAN) == GOLDEN


def test_without_a_number_of_steps_and_without_frozen_parameters():
    text = plan_text(replace(PLAN, steps=None, frozen={}, left_out={}))
    assert "steps      until the time is spent" in text
    assert "trained    2,000 parameters (100.00%)" in text
    assert "frozen     nothing" in text
    assert "left out   nothing" in text


def test_many_groups_are_summed_up_and_nothing_is_lost():
    groups = {f"group{index}": (index + 1, 1) for index in range(30)}
    text = plan_text(replace(PLAN, trained=groups, frozen={}))
    counts = [
        int(line.split()[1].replace(",", ""))
        for line in text.splitlines()
        if line.startswith("trained") and "parameters" not in line
    ]
    assert len(counts) == 11
    assert sum(counts) == sum(range(1, 31))


def test_groups_join_blocks_weights_and_biases():
    sizes = {"model.layers.0.mlp.weight": 6, "model.layers.1.mlp.weight": 6, "model.layers.1.mlp.bias": 2}
    assert grouped(sizes) == {"layers.*.mlp": (14, 3)}
