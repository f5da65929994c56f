"""When a step runs out of memory: half as many samples a pass, or a message that says what would fit."""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from tunesmith.checkpoint.atomic import remove_folder
from tunesmith.checkpoint.journal import append_record, keep_evaluations, truncate_after
from tunesmith.checkpoint.manifest import checkpoint_step, checkpoints
from tunesmith.errors import UserError
from tunesmith.judge.instability import returned
from tunesmith.judge.measurement import Verdict
from tunesmith.plan.advice import advise
from tunesmith.plan.batch import Division
from tunesmith.plan.cost.memory import Engine, Sharding
from tunesmith.plan.workload import batch_division, memory_at
from tunesmith.prepare.estimate import workload_from
from tunesmith.prepare.hardware import Device, detect_hardware
from tunesmith.prepare.inputs import PreparedInputs
from tunesmith.train.async_eval.mailbox import drop_requests
from tunesmith.train.context import Setup
from tunesmith.train.deliver.reselect import judged_again
from tunesmith.train.record.rows import record_order
from tunesmith.train.resume.restore import load_checkpoint
from tunesmith.train.resume.save import wait_for_saver
from tunesmith.train.resume.state import State


class StepTooLarge(Exception):
    """A step ran out of memory; nothing was updated.

    Attributes:
        state: of the run before that step.
    """

    def __init__(self, state: State) -> None:
        super().__init__(f"step {state.progress.step + 1} ran out of memory")
        self.state = state


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or on the host; torch has a type for the former alone."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)


def with_micro(setup: Setup, micro: int | None) -> Setup:
    """The setup with so many samples a pass; the global batch, and with it the gradient, stays."""
    if micro is None:
        return setup
    old = setup.division
    division = Division(
        size=old.size, micro=micro, accumulation=old.size // old.processes // micro, processes=old.processes
    )
    facts = {**setup.checkpointer.facts, "micro_batch_size": micro}
    return replace(setup, division=division, checkpointer=replace(setup.checkpointer, facts=facts))


def halve_micro_batch(setup: Setup, large: StepTooLarge, parts: PreparedInputs) -> State:
    """The state with half the samples a pass, if the recipe says `auto` and one process decides.

    Raises:
        UserError: otherwise; it says which part was too large, and what would fit.
    """
    division = setup.division
    ours = parts.recipe.batch.micro == "auto" and division.micro > 1 and division.processes == 1
    if not ours:
        raise UserError(
            f"{large}: {_advice(setup, parts)}",
            "batch.micro",
            "make that change and give the same command again: it goes on from the last checkpoint",
        ) from large
    setup.checkpointer.saver.wait()  # what it holds is memory, too
    large.__traceback__ = large.__cause__ = None  # they hold the activations
    setup.learner.engine.model.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    micro = max(n for n in range(1, division.micro // 2 + 1) if division.micro % n == 0)
    return replace(large.state, micro=micro)


def _advice(setup: Setup, parts: PreparedInputs) -> str:
    process, learner = setup.process, setup.learner
    return explain_out_of_memory(
        parts,
        dtype=str(learner.dtype).removeprefix("torch."),
        device="gpu" if process.accelerator.device.type == "cuda" else "cpu",
        processes=process.world.world_size,
        local=process.world.local_world_size,
        stage=learner.engine.stage,
        engine=learner.engine.name,
    )


ENGINES: dict[str, Engine] = {
    "single": "single",
    "ddp": "ddp",
    "zero": "deepspeed",
    "deepspeed": "deepspeed",
    "fsdp2": "fsdp2",
}


def explain_out_of_memory(
    parts: PreparedInputs, *, dtype: str, device: Device, processes: int, local: int, stage: int, engine: str
) -> str:
    """Which part of the memory was too large, and the least change that would fit.

    Args:
        parts: of the run.
        dtype: of the arithmetic, ``float32`` or ``bfloat16``.
        device: what computes.
        processes: in all.
        local: on this machine, which share its memory if it has no GPU.
        stage: ZeRO's; FSDP2 is 3.
        engine: ``single``, ``ddp``, ``zero`` or ``fsdp2``, as engines call themselves.
    """
    job = workload_from(parts, dtype=dtype)
    sharding = Sharding(stage=stage, processes=processes, engine=ENGINES[engine])
    capacity = detect_hardware().capacity(device, local)
    return advise(
        memory_at(job, sharding, device),
        job,
        capacity=float("inf") if capacity is None else capacity,
        division=batch_division(job, processes),
        sharding=sharding,
        device=device,
    )


class RollbackRequested(Exception):
    """The numbers of a step went wrong, and the recipe wants to go back.

    Attributes:
        state: of the run after that step.
        reason: what was wrong.
    """

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


def stop_as_failed(reason: str) -> Verdict:
    """The verdict of a run whose numbers went wrong."""
    return Verdict(decision="stop", rule="non-finite", reason=reason)


def roll_back(setup: Setup, wrong: RollbackRequested) -> State:
    """Restore an earlier checkpoint, with a lower learning rate; an older one each time until it helps.

    Where there is none, the state says stop. Whoever calls this saves the state before going on.
    """
    checkpointer = setup.checkpointer
    wait_for_saver(checkpointer)
    trouble, at = wrong.state.trouble, wrong.state.progress.step
    earlier = min(trouble.returns, default=None)
    state, _ = load_checkpoint(checkpointer, before=earlier)
    if earlier is not None and not _is_saved(state):
        state, _ = load_checkpoint(checkpointer)
    if not _is_saved(state):
        return replace(
            wrong.state, verdict=stop_as_failed(f"{wrong.reason}; there is no checkpoint to go back to")
        )
    # other rules may have written the checkpoint
    state, _ = judged_again(checkpointer, setup.recipe.stop, state)
    to = state.progress.step
    return replace(state, trouble=returned(state.trouble, trouble, setup.recipe.safety, to=to, at=at))


def drop_newer_state(setup: Setup, wrong: RollbackRequested, state: State) -> None:
    """Remove later checkpoints and lines of the journal, once the state after the return is saved.

    Before that a kill would bring the old learning rate back, and after it a checkpoint that was given up.
    """
    run_dir = setup.checkpointer.run_dir
    if setup.process.is_main:
        to = state.progress.step
        for folder in checkpoints(run_dir / "checkpoints"):
            if (checkpoint_step(folder) or 0) > to:
                remove_folder(folder)
        drop_requests(run_dir, state.awaited)
        journal = run_dir / "metrics.jsonl"
        truncate_after(journal, to)
        keep_evaluations(journal, {one.step for one in state.history})
        record_order(run_dir, setup.ids, setup.order, to)
        facts = {"from": wrong.state.progress.step, "reason": wrong.reason, "factor": state.trouble.factor}
        append_record(journal, {"kind": "back", "step": to, **facts}, durable=True)
    setup.process.accelerator.wait_for_everyone()


def _is_saved(state: State) -> bool:
    return bool(state.progress.step or state.history)
