"""What a model card says beside its scores: how to use the model, its prompt, its data, its licence."""

from __future__ import annotations

import re
from pathlib import Path

from tunesmith.metrics.names import slice_of
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.recipe.schema.data import Rows
from tunesmith.recipe.schema.recipe import Recipe
from tunesmith.recipe.tasks.table import spec_of
from tunesmith.sources.address import HubAddress, PathAddress, parse_address
from tunesmith.train.resume.state import State

_LICENCE = re.compile(r"^licen[sc]e: *([\w.+-]+) *$", re.MULTILINE)


def front_matter(recipe: Recipe) -> list[str]:
    """Lines for a hub: what the model is for, which one it was made of, under which licence, if that says."""
    source = recipe.model.source
    lines = [f"pipeline_tag: {spec_of(recipe.task).pipeline}"]
    if source is not None and isinstance(parse_address(source), HubAddress):
        lines.append(f"base_model: {source}")
    licence = licence_of(recipe)
    return lines + ([f"license: {licence}"] if licence else [])


def licence_of(recipe: Recipe) -> str:
    """The licence that the base model's own card names, if it lies on this machine; empty otherwise."""
    source = recipe.model.source
    address = parse_address(source) if source is not None else None
    card = address.path / "README.md" if isinstance(address, PathAddress) else None
    if card is None or not card.is_file():
        return ""
    found = _LICENCE.search(card.read_text(encoding="utf-8", errors="replace")[:20_000])
    return found[1] if found else ""


def more_of_card(parts: PreparedInputs, state: State, *, adapter: bool) -> str:
    """Sections below the scores, as Markdown.

    Args:
        parts: of the run.
        state: at its end.
        adapter: whether the folder holds an adapter alone, which needs its base.
    """
    recipe = parts.recipe
    sections = [
        ("Before tuning", _baseline(state)),
        ("Use", _use(recipe, adapter=adapter)),
        ("Prompt", _prompt(recipe.data.train[0])),
        ("Data", _data(parts)),
        ("Licence", _licence(recipe)),
    ]
    return "\n".join(f"## {title}\n\n{text}\n" for title, text in sections if text)


def _baseline(state: State) -> str:
    first = state.history[0] if state.history and state.history[0].step == 0 else None
    if first is None:
        return ""
    values = [f"{name} {value:.4f}" for name, value in first.metrics.items() if slice_of(name) is None]
    return f"The same rows, before the first step: {', '.join(values)}."


def _use(recipe: Recipe, *, adapter: bool) -> str:
    task, folder = spec_of(recipe.task), Path(str(recipe.run.dir)).name
    if task.output == "tokens":
        opener = task.auto_model.replace("Auto", "AutoPeft", 1) if adapter else task.auto_model
        package = "peft" if adapter else "transformers"
        lines = [
            *(
                [f"from {package} import {opener}", "from transformers import AutoTokenizer"]
                if adapter
                else []
            ),
            *([] if adapter else [f"from {package} import {opener}, AutoTokenizer"]),
            "",
            f'model = {opener}.from_pretrained("model")',
            'tokenizer = AutoTokenizer.from_pretrained("model")',
            *_asking(recipe),
            "made = model.generate(**inputs, max_new_tokens=64)[0]",
            "print(tokenizer.decode(made, skip_special_tokens=True))",
        ]
    elif task.output == "vector":
        lines = [
            "from sentence_transformers import SentenceTransformer",
            "",
            'model = SentenceTransformer("model")',
            'query, document = model.encode_query("a text"), model.encode_document("another")',
            "print(model.similarity(query, document))",
        ]
    elif task.output == "number":
        lines = [
            f"from transformers import {task.auto_model}, AutoTokenizer",
            "",
            f'model = {task.auto_model}.from_pretrained("model")',
            'tokenizer = AutoTokenizer.from_pretrained("model")',
            'inputs = tokenizer("a text", return_tensors="pt")',
            "print(model(**inputs).logits.item())  # in the data's own units",
        ]
    else:
        text = "a text with a <mask>, as the tokenizer writes it" if task.output == "hidden" else "a text"
        asked = "picture.png" if task.processor == "image" else text
        lines = [
            "from transformers import pipeline",
            "",
            f'print(pipeline("{task.pipeline}", "model")("{asked}"))',
        ]
    code = "\n".join(["```python", *lines, "```"])
    return f"`model` is this folder; or `tunesmith generate {folder} --input FILE --output FILE`.\n\n{code}"


def _asking(recipe: Recipe) -> list[str]:
    rows = recipe.data.train[0]
    if "text" in rows.mapped or recipe.model.chat_template == "none":
        return ['inputs = tokenizer("the beginning of a text", return_tensors="pt")']
    system = '{"role": "system", "content": "…"}, ' if "system" in rows.mapped else ""
    return [
        f'messages = [{system}{{"role": "user", "content": "…"}}]',
        "inputs = tokenizer.apply_chat_template(",
        '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"',
        ")",
    ]


def _prompt(rows: Rows) -> str:
    """How the columns of a row became what the model reads."""
    lines = [f"    {name}: {' '.join(spec.split())}" for name, spec in rows.mapped.items()]
    return (
        "\n".join(["It learnt from rows mapped so, and wants to be asked likewise:", "", *lines])
        if lines
        else ""
    )


def _data(parts: PreparedInputs) -> str:
    named = ", ".join(f"`{source.source}`" for source in parts.report.sources)
    learnt = len(parts.train) - len(parts.order.excluded)
    return (
        f"{learnt:,} rows to learn from and {len(parts.held_out.eval):,} to evaluate on, of {named}; "
        f"fingerprint `{parts.report.fingerprint[:16]}`."
    )


def _licence(recipe: Recipe) -> str:
    known = licence_of(recipe)
    base = f"`{recipe.model.source}`" if recipe.model.source is not None else ""
    if known:
        return f"{known}, that of {base}; the data may add terms of its own."
    if base:
        return (
            f"That of {base} holds, and the data may add terms of its own: say it here before you share this."
        )
    return "None is stated; the data may have terms of its own."
