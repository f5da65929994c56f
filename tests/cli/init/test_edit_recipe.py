from __future__ import annotations

from tunesmith.cli.init.edit_recipe import fill_rows, replace_scalars, set_value

BLOCK = """\
# head
data:
  # about the rows
  train:
    # where they are
    source: pypi:a==1/b.txt  # a wheel
    encoding: latin-1
    # how a line reads
    pattern: '(?P<a>x)'
    values:
      kind: {A: b}

    prompt: |
      Q: {a}
      A:
    completion: kind  # the answer
  # about the split
  eval: {holdout: 300}  # rows
run: {dir: runs/x}
"""


def test_a_block_keeps_its_comments_and_order():
    filled = fill_rows(BLOCK, "./my rows.csv", {"prompt": "Q: {text}", "completion": "label"})
    assert filled == (
        "# head\n"
        "data:\n"
        "  # about the rows\n"
        "  train:\n"
        "    # where they are\n"
        "    source: ./my rows.csv  # a wheel\n"
        "    # how a line reads\n"
        "\n"
        "    prompt: 'Q: {text}'\n"
        "    completion: label  # the answer\n"
        "  # about the split\n"
        "  eval: {holdout: 300}  # rows\n"
        "run: {dir: runs/x}\n"
    )


def test_fields_of_another_shape_take_the_place_of_the_old():
    filled = fill_rows(BLOCK, "./m.jsonl", {"messages": "messages"})
    assert "    source: ./m.jsonl  # a wheel\n    messages: messages\n" in filled
    assert "prompt" not in filled
    assert "completion" not in filled
    assert "# about the split\n  eval" in filled


def test_flow_mappings_and_lists():
    flow = "data:\n  train: {source: a/b, prompt: x, completion: y}  # rows\n"
    assert fill_rows(flow, "./c, d.csv", {"text": "t"}) == (
        "data:\n  train: {source: './c, d.csv', text: t}  # rows\n"
    )
    listed = (
        "data:\n  train:\n    # one\n    - source: a/b\n      text: x\n"
        "    # two\n    - source: c/d\n      text: y\n  cache: true\n"
    )
    assert fill_rows(listed, "./e.csv", {"text": "t"}) == (
        "data:\n  train:\n    # one\n    - source: ./e.csv\n      text: t\n    # two\n  cache: true\n"
    )


def test_set_value():
    assert set_value(BLOCK, ("run", "dir"), "runs/y").endswith("run: {dir: runs/y}\n")
    assert "  eval: {holdout: 0.2, stratify: label}  # rows\n" in set_value(
        BLOCK, ("data", "eval"), {"holdout": 0.2, "stratify": "label"}
    )
    assert set_value(BLOCK, ("run", "nothing"), "x") == BLOCK
    block = "data:\n  eval:\n    # c\n    source: a/b\n    limit: 3\n  # next\n  cache: true\n"
    assert set_value(block, ("data", "eval"), {"holdout": 0.1}) == (
        "data:\n  eval: {holdout: 0.1}\n  # next\n  cache: true\n"
    )


def test_replace_scalars_sees_the_keys_above():
    seen: list[tuple[tuple[str, ...], str]] = []
    text = "a: {b: [x, 'y']}\nc: z # x\n"
    changed = replace_scalars(
        text, lambda path, value: seen.append((path, value)) or {"x": "no", "z": "1"}.get(value)
    )
    assert seen == [(("a", "b"), "x"), (("a", "b"), "y"), (("c",), "z")]
    assert changed == "a: {b: [no, 'y']}\nc: '1' # x\n"
