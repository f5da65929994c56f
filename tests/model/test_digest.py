"""A base model is known by a hash of what it is made of."""

import shutil

import pytest

from tunesmith.model.digest import base_digest
from tunesmith.recipe.schema.model import Model, TokenizerSpec


@pytest.fixture(scope="module")
def base(tiny, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny.make("llama").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_another_file_is_another_base(base, tmp_path, name) -> None:
    copy = shutil.copytree(base, tmp_path / "elsewhere")
    assert base_digest(Model(source=str(copy))) == base_digest(Model(source=str(base)))
    path = copy / name
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    assert base_digest(Model(source=str(copy))) != base_digest(Model(source=str(base)))


def test_what_shapes_no_run_is_left_out(base, tmp_path) -> None:
    copy = shutil.copytree(base, tmp_path / "copy")
    (copy / "README.md").write_text("another card")
    assert base_digest(Model(source=str(copy))) == base_digest(Model(source=str(base)))


def test_a_tokenizer_and_a_template_of_their_own_count(base, tmp_path) -> None:
    copy, template = shutil.copytree(base, tmp_path / "copy"), tmp_path / "template.jinja"
    template.write_text("one {{ x }}")
    model = Model(source=str(base), tokenizer=TokenizerSpec(source=str(copy)), chat_template=str(template))
    first = base_digest(model)
    template.write_text("two {{ x }}")
    second = base_digest(model)
    (copy / "tokenizer.json").write_text("{}")
    assert len({first, second, base_digest(model), base_digest(Model(source=str(base)))}) == 4


def test_a_new_model_has_none(tiny) -> None:
    assert base_digest(tiny.new("llama")) == base_digest(tiny.new("gpt2"))
