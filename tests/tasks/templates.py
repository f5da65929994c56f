"""Chat templates and conversations from a seed, and a byte tokenizer that knows the usual marks."""

import random

MARKS = """
<|endoftext|> <|im_start|> <|im_end|> <|user|> <|assistant|> <|system|> <|end|> <bos> <start_of_turn>
<end_of_turn> <s> </s> [INST] [/INST]
<|start_header_id|> <|end_header_id|> <|eot_id|> <|User|> <|Assistant|> <|eos|>
<|channel|> <|start|> <|message|> <|return|> <|call|>
""".split()  # noqa: SIM905


def tokenizer(template, eos="<|im_end|>", bos=None, marks=MARKS, plain=("<think>", "</think>")):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = [*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    made.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in plain])
    named = {"eos_token": eos, "pad_token": "<|endoftext|>", "bos_token": bos}
    fast = PreTrainedTokenizerFast(tokenizer_object=made, **{k: v for k, v in named.items() if v})
    fast.chat_template = template
    return fast


def a_template(draw: random.Random) -> tuple[str, str]:
    """A template that writes turns in order as those in use do, or a little off; and its end token."""
    role = draw.choice(["{{ m.role }}", "{{ 'model' if m.role == 'assistant' else m.role }}"])
    before, between, end = draw.choice(
        [
            ("<|im_start|>", "\n", "<|im_end|>"),
            ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
            ("<start_of_turn>", "\n", "<end_of_turn>"),
            ("<|start|>", "<|message|>", "<|end|>"),
            ("### ", ":\n", ""),
            ("", ": ", "</s>"),
            ("[", "] ", "<|eos|>"),
        ]
    )
    content = draw.choice(["m.content"] * 4 + ["m.content | trim", "m.content.strip()", "m.content | upper"])
    thoughts = draw.choice([""] * 5 + [".split('</think>')[-1]", ".split('</think>')[-1].lstrip()"])
    if thoughts and content == "m.content":
        content += thoughts
    behind = draw.choice(["\n", "", "\n\n", " "])
    closing = draw.choice([end] * 6 + ["{{ eos_token if loop.last else '" + end + "' }}", ""])
    tools = draw.choice(["", "", "{% if tools %}{{ tools | tojson }}\n{% endif %}"])
    calls = draw.choice(["", "{% for call in m.tool_calls %}{{ call.function | tojson }}{% endfor %}"])
    opening = draw.choice(["", "{{ bos_token }}", "<s>"])
    refusal = draw.choice(
        [""] * 6 + ["{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"]
    )
    left_out = draw.choice([""] * 8 + ["{% if m.role != 'system' %}"])
    turn = f"{before}{role}{between}{{{{ {content} }}}}{calls}{closing}{behind}"
    turn = f"{left_out}{turn}{{% endif %}}" if left_out else turn
    said = role.replace("m.role", "'assistant'")
    asks = draw.choice([f"{before}{said}{between}"] * 7 + [f"{before}{said}{between}<think>\n", ""])
    last = draw.choice([""] * 6 + ["{% if not add_generation_prompt %}{{ eos_token }}{% endif %}"])
    whole = f"{opening}{tools}{{% for m in messages %}}{refusal}{turn}{{% endfor %}}{last}"
    eos = draw.choice([end or "</s>"] * 3 + ["<|endoftext|>", "</s>"])
    return f"{whole}{{% if add_generation_prompt %}}{asks}{{% endif %}}", eos


WORDS = [
    "ja",
    "no\n",
    "café",
    "  two  ",
    "<b>",
    "'",
    '"',
    "{x}",
    "<think>why</think>so",
    "𝛼",
    "x" * 40,
    "a: b",
    "#",
]


def a_conversation(draw: random.Random) -> tuple[list[dict], dict]:
    """Messages whose contents differ from one another, and columns beside them."""
    roles = draw.choice([[], ["system"]]) + ["user", "assistant"] * draw.randint(1, 3)
    messages = []
    for number, role in enumerate(roles):
        words = " ".join(draw.choice(WORDS) for _ in range(draw.randint(0 if draw.random() < 0.1 else 1, 3)))
        messages.append({"role": role, "content": f"{words} q{number}w" if words else ""})
    if draw.random() < 0.15:
        call = {"type": "function", "function": {"name": "look_up", "arguments": {"city": "Łódź", "n": 3}}}
        messages[-1]["tool_calls"] = [call]
    if draw.random() < 0.1:
        messages[-1]["reasoning_content"] = "because r7r"
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    return messages, {"tools": [tool]} if draw.random() < 0.15 else {}
