"""What stands beside the weights of a finished model: where answers end, what is tied, the number type."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tunesmith.model.export.save import export_model, fold_target_scale
from tunesmith.model.load import Head
from tunesmith.model.tune.apply import apply_tune
from tunesmith.recipe.schema.tune import Lora, Tune
from tunesmith.recipe.tasks.language import CAUSAL_LM
from tunesmith.recipe.tasks.text import REGRESSION

AUTO = CAUSAL_LM


def export(model, tokenizer, folder, dtype=torch.float32, *, merge=False) -> None:
    export_model(model, tokenizer, folder, card="# x\n", dtype=dtype, merge=merge)


def test_plain_generation_stops_where_training_taught_it_to(tiny, tokenizer, tmp_path) -> None:
    """The configuration's end is another tokenizer's, and the template ends turns with its own mark."""
    model = tiny.make("llama", eos_token_id=7)
    export(model, tokenizer, tmp_path / "model")
    settings = AutoModelForCausalLM.from_pretrained(tmp_path / "model").generation_config
    assert set(settings.eos_token_id) == {7, tokenizer.eos_token_id}
    new = tiny.make("llama", eos_token_id=None)
    export(new, tokenizer, tmp_path / "new")
    settings = AutoModelForCausalLM.from_pretrained(tmp_path / "new").generation_config
    assert settings.eos_token_id == tokenizer.eos_token_id


def test_settings_that_contradict_each_other_do_not_lose_the_model(tiny, tokenizer, tmp_path) -> None:
    model = tiny.make("llama")
    model.generation_config.temperature, model.generation_config.top_p = 0.5, 0.9
    model.generation_config.do_sample = False
    export(model, tokenizer, tmp_path / "model")
    settings = AutoModelForCausalLM.from_pretrained(tmp_path / "model").generation_config
    assert not settings.do_sample
    sampling = tiny.make("llama")
    sampling.generation_config.temperature, sampling.generation_config.do_sample = 0.5, True
    export(sampling, tokenizer, tmp_path / "sampling")
    settings = AutoModelForCausalLM.from_pretrained(tmp_path / "sampling").generation_config
    assert (settings.temperature, settings.do_sample) == (0.5, True)


@pytest.mark.parametrize("saved", ["lm_head", "embed_tokens"])
@pytest.mark.parametrize("merge", [True, False])
def test_an_end_trained_without_its_twin_is_not_tied_again(tiny, tokenizer, tmp_path, saved, merge) -> None:
    base = tmp_path / "base"
    tiny.make("llama", tie_word_embeddings=True).save_pretrained(base)
    model, fresh = tiny.reopen(base, tiny.language)
    tune = Tune(lora=Lora(rank=2), save_modules=(saved,))
    model = apply_tune(model, tune, task=AUTO, fresh=fresh, dtype=torch.float32).model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
        before = model(input_ids=tiny.ids).logits
    export(model, tokenizer, tmp_path / "model", merge=merge)
    if merge:
        opened = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    else:
        from peft import PeftModel

        opened = PeftModel.from_pretrained(tiny.reopen(base, tiny.language)[0], tmp_path / "model").eval()
    with torch.no_grad():
        torch.testing.assert_close(opened(input_ids=tiny.ids).logits, before, rtol=1e-4, atol=1e-4)


def test_numbers_in_the_users_units_keep_their_digits(tiny, tokenizer, tmp_path) -> None:
    """In bfloat16 there is no number between 1000 and 1004."""
    head = Head(REGRESSION)
    model = tiny.make("bert", head)
    with torch.no_grad():
        standard = model(input_ids=tiny.ids).logits
    fold_target_scale(model, mean=1001.3, scale=0.5)
    export(model, tokenizer, tmp_path / "model", torch.bfloat16)
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype="auto").eval()
    assert opened.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(opened(input_ids=tiny.ids).logits, standard * 0.5 + 1001.3)
