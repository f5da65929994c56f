"""Words of other tools and what they are called here, for the hint at an unknown key or value.

From TRL and transformers' ``TrainingArguments``, peft, axolotl, LLaMA-Factory, Unsloth, Ludwig and torchtune.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.recipe.tasks.table import TASKS

_KEYS = """
lr learning-rate learning_rate peak_lr = optimizer.learning_rate
weight_decay wd = optimizer.weight_decay
optim optimizer_name optimizer_type = optimizer.name
adam_beta1 adam_beta2 adam_betas betas = optimizer.betas | both in one list: `betas: [0.9, 0.999]`
adam_epsilon adam_eps eps epsilon = optimizer.eps
lr_scheduler lr_scheduler_type scheduler learning_rate_scheduler lr_schedule schedule = \
optimizer.schedule
warmup warmup_steps warmup_ratio num_warmup_steps warmup_fraction = optimizer.warmup | below 1 a share \
of all steps, from 1 so many steps
min_lr min_lr_ratio cosine_min_lr_ratio lr_end = optimizer.final_learning_rate | as a share of the peak
max_grad_norm clip_grad_norm gradient_clipping grad_clip gradient_clip_val clip = optimizer.clip
batch_size train_batch_size global_batch_size effective_batch_size total_batch_size = batch.size | it \
is the global batch: what one optimizer step sees, on all processes together
per_device_train_batch_size micro_batch_size per_gpu_train_batch_size device_batch_size = batch.micro | \
or `batch.size`, the global batch of one optimizer step, from which it is worked out
gradient_accumulation_steps gradient_accumulation grad_accum accumulate_grad_batches accumulation_steps \
= batch.size | accumulation is worked out: write the global batch, per-device batch × accumulation × \
processes
gradient_checkpointing use_gradient_checkpointing activation_checkpointing \
enable_activation_checkpointing = batch.checkpointing
packing sample_packing packed pack neat_packing eval_packing = batch.layout | `packed`, `padded` or \
`auto`
epochs epoch num_epochs num_train_epochs max_epochs n_epochs = stop.budget | `stop: [{budget: {epochs: \
3}}]`
max_steps steps num_steps train_steps total_steps max_train_steps = stop.budget | `stop: [{budget: \
{steps: 500}}]`
early_stopping early_stopping_patience early_stop patience early_stopping_rounds = stop.plateau | \
`stop: [{plateau: {metric: loss, patience: 3}}]`
metric_for_best_model greater_is_better load_best_model_at_end monitor = stop | the metric of its first \
rule chooses the weights, and the best ones measured are always kept
r lora_r lora_rank rank lora_dim = tune.lora.rank
lora_alpha alpha = tune.lora.alpha
lora_dropout = tune.lora.dropout
target_modules lora_target_modules lora_target lora_targets lora_attn_modules lora_target_linear \
apply_lora_to_mlp = tune.lora.targets | `all-linear`, names, or a regex
modules_to_save lora_modules_to_save additional_target = tune.save_modules
use_dora peft_use_dora = tune.lora.dora
use_rslora = tune.lora.rslora
layers_to_transform = tune.lora.layers | `{last: 2}`
lora peft peft_config adapter adapters finetuning_type lora_config = tune.lora | `tune: {lora: {rank: \
8}}`; leave `tune` out to train everything
freeze freeze_layers freeze_trainable_layers unfrozen_parameters trainable_layers freeze_backbone = \
tune.layers | `head`, `{last: 2}`, or `{match: REGEX}`: what learns
model_name model_name_or_path base_model pretrained_model_name_or_path model_path model_id checkpoint \
checkpointer base_model_name_or_path = model.source
model_revision model_commit = model.revision
tokenizer tokenizer_name tokenizer_path tokenizer_name_or_path = model.tokenizer | `{source: …}`; left \
out, it is the model's own
template chat_template prompt_template conversation_template = model.chat_template
dtype torch_dtype bf16 fp16 tf32 precision mixed_precision half pure_bf16 = model.dtype | `bfloat16`, \
`float16`, `float32` or `auto`, which takes the fastest that the device has
load_in_4bit load_in_8bit quantization quantization_bit quantization_config bnb_4bit_quant_type \
bnb_4bit_compute_dtype bits qlora = model.quantize | `4bit` or `8bit`
attn_implementation flash_attention flash_attn flash_attention_2 use_flash_attention_2 sdp_attention \
xformers_attention = model.attention
trust_remote_code = model.trust_remote_code
dataset datasets train_data train_file data_path train_dataset dataset_name data_files dataset_path \
training_data = data.train | `{source: ./rows.jsonl}`
val_set_size val_size validation_split test_size eval_split_ratio = data.eval | `{holdout: 0.1}`
eval_dataset validation_file eval_file val_data validation_data test_dataset = data.eval | `{source: \
./eval.jsonl}`
max_seq_length max_seq_len sequence_len cutoff_len seq_length seq_len max_length model_max_length \
block_size max_sequence_length global_max_sequence_length = data.max_length
truncation truncate = data.overflow | `truncate`, `drop` or `error`
train_on_inputs train_on_prompt completion_only_loss assistant_only_loss train_on_responses_only \
mask_prompt = data.loss_on | `assistant` (as it is by default), `last_assistant` or `all`
max_samples max_train_samples limit_train_batches = data.train.limit
dataset_text_field text_column text_field = data.train.text | the name of a column
label_column label_field target_column = data.train.label | the name of a column
input_features output_features = data.train | `{source: …, text: COLUMN, label: COLUMN}`
preprocessing_num_workers dataset_num_proc dataloader_num_workers num_workers dataset_processes = \
data.workers
eval_steps evals_per_epoch eval_strategy evaluation_strategy eval_every val_check_interval \
evaluate_every = eval.every | e.g. `100 steps` or `0.5 epochs`
per_device_eval_batch_size eval_batch_size val_batch_size = eval.batch_size
compute_metrics metrics metric = eval.metrics
max_new_tokens generation_max_length = eval.generate.max_new_tokens
output_dir output save_dir save_path logging_dir out_dir output_path experiment_dir = run.dir
run_name experiment_name = run.dir | a run is called after its directory
random_state random_seed data_seed manual_seed seed = run.seed
save_steps save_strategy saves_per_epoch save_every checkpoint_every checkpoints_per_epoch = \
run.save_every
save_total_limit keep_checkpoints = run.keep
report_to wandb_project wandb wandb_entity use_wandb logger metric_logger tracker tensorboard = \
run.trackers | `[wandb]`, or `[{name: wandb, project: NAME}]`
merge merge_adapter merge_lora = run.merge
"""

_GONE = """
deepspeed fsdp fsdp_config ddp zero_stage backend devices num_gpus = a profile says on what a run \
computes: `tunesmith run RECIPE --on PROFILE` (docs/launching.md)
resume_from_checkpoint overwrite_output_dir auto_resume_from_checkpoints resume = a run goes on by \
itself when the same command is given again; `--fresh` starts over
push_to_hub hub_model_id hub_token = the finished model is the folder `model/`; push it with `hf upload`
torch_compile compile neftune_noise_alpha label_smoothing_factor label_smoothing rl_beta = there is no \
such setting here: leave it out
logging_steps log_every_n_steps log_every logging_strategy = every step is recorded in metrics.jsonl: \
leave it out
do_train do_eval do_predict stage model_type trainer training_arguments remove_unused_columns \
group_by_length length_column_name shuffle device auto_find_batch_size plot_loss strict tokenizer_type \
= this needs no saying here: leave it out
"""

VALUES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
    "fp32": "float32",
    "full": "float32",
    "adam": "adamw",
    "adamw_torch": "adamw",
    "adamw_torch_fused": "adamw",
    "adamw_hf": "adamw",
    "adamw_8bit": "adamw",
    "adamw_bnb_8bit": "adamw",
    "paged_adamw_8bit": "adamw",
    "paged_adamw_32bit": "adamw",
    "cosine_with_restarts": "cosine",
    "constant_with_warmup": "constant",
    "nf4": "4bit",
    "fp4": "4bit",
    "int4": "4bit",
    "4": "4bit",
    "int8": "8bit",
    "8": "8bit",
    "flash_attn": "flash_attention_2",
    "flash_attention": "flash_attention_2",
    "fa2": "flash_attention_2",
    **{word: name for name, spec in TASKS.items() for word in spec.aliases},
}
"""A word of another tool to the one that is meant."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What a key of another tool is here.

    Attributes:
        key: dotted; empty if there is no such thing.
        note: how it is written, or why there is none.
    """

    key: str
    note: str

    def hint(self) -> str:
        """What to tell whoever wrote it."""
        if not self.key:
            return self.note
        return f"did you mean `{self.key}`? {self.note[:1].upper()}{self.note[1:]}".rstrip()


def _read(table: str) -> Iterator[tuple[str, str]]:
    for line in table.strip().splitlines():
        words, _, meant = line.partition(" = ")
        for word in words.split():
            yield word.replace("-", "_"), meant.strip()


_HABITS = {word: Habit("", note) for word, note in _read(_GONE)} | {
    word: Habit(key.strip(), note.strip())
    for word, meant in _read(_KEYS)
    for key, _, note in [meant.partition("|")]
}


def habit(key: str, section: str = "") -> Habit | None:
    """What a key of another tool is called here; ``None`` if it is not known, or means its own section.

    Args:
        key: as it was written.
        section: dotted, where it was written.
    """
    found = _HABITS.get(key.lower().replace("-", "_"))
    if found is not None and found.key and found.key == f"{section}.{key}".lstrip("."):
        return None
    return found


def known_habits() -> dict[str, Habit]:
    """Every word of other tools that is known."""
    return dict(_HABITS)
