"""What is known of each task without importing torch: the fields it needs, and who opens its models."""

from __future__ import annotations

from collections.abc import Mapping

Fields = tuple[frozenset[str], ...]

NEEDS: Mapping[str, Fields] = {
    "causal-lm": (frozenset({"messages"}), frozenset({"text"})),
    "sequence-classification": (frozenset({"text", "label"}),),
    "regression": (frozenset({"text", "target"}),),
    "image-classification": (frozenset({"image", "label"}),),
}
"""Task to the alternatives of fields that a row must have."""

AUTO_MODELS: Mapping[str, str] = {
    "causal-lm": "AutoModelForCausalLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
}
"""Task to the transformers class that opens its models."""
