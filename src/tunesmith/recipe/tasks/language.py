"""Tasks of language models."""

from __future__ import annotations

from typing import Literal

from tunesmith.metrics.families import graded, text
from tunesmith.recipe.tasks.spec import Field, TaskSettings, TaskSpec

GENERATION = tuple(metric.name for metric in text.METRICS)
"""Metrics over generated text and its reference."""

GRADED = tuple(metric.name for metric in graded.METRICS)
"""Metrics over generated text that look at it by other means."""


class CausalLMSettings(TaskSettings):
    """Predict the next token: of answers in conversations, or of plain text."""

    name: Literal["causal-lm"] = "causal-lm"


CAUSAL_LM = TaskSpec(
    settings=CausalLMSettings,
    summary="answers in conversations, or plain text, token by token",
    code="tunesmith.tasks.language.causal_lm:CausalLM",
    auto_model="AutoModelForCausalLM",
    inputs=(Field("messages", "chat"),),
    output="tokens",
    metrics=("loss", "perplexity", "token_accuracy", *GENERATION, *GRADED),
    measured=("perplexity", "token_accuracy"),
    accepts=frozenset({"chat_template", "generate", "harness", "loss_on", "packing", "positions"}),
    starter="gpt_sft",
    pipeline="text-generation",
    peft="CAUSAL_LM",
    endings=("ForCausalLM", "LMHeadModel"),
    aliases=("sft", "clm", "llm", "causal_lm", "text-generation", "instruction-tuning"),
    usual_evaluation="0.25 epochs",
)
