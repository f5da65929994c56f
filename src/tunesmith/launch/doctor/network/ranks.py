"""The processes that the doctor starts in a run's place: they meet, compare clocks, and reduce a tensor.

One such program a machine imports torch once and forks its ranks. Each rank prints what it has come to as
one JSON object a line, and a sign of life twice a second. None outlives its time.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

_BEAT = 0.5  # seconds
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the ranks are to do.

    Attributes:
        world: ranks in all.
        local: ranks of each machine.
        node: number of this machine; None where SLURM tells it.
        address: where rank 0 is.
        port: where rank 0 listens.
        gpu: whether tensors are on GPUs (and NCCL carries them), or on the processor (gloo).
        megabytes: of the tensor that is reduced.
        seconds: after which the ranks end themselves.
        token: file that every machine should see.
    """

    world: int
    local: int
    node: int | None = None
    address: str = "127.0.0.1"
    port: int
    gpu: bool = False
    megabytes: int = 32
    seconds: int = 15
    token: str = ""

    def text(self) -> str:
        """As JSON, for a command line."""
        return json.dumps(asdict(self))


def main(order: Order) -> int:
    """Fork the ranks of this machine and wait for them."""
    import torch.distributed

    assert torch.distributed.is_available()
    node = order.node if order.node is not None else _number("SLURM_NODEID")
    children = []
    for local_rank in range(order.local):
        child = os.fork()
        if child == 0:
            os._exit(_whole_life(order, node * order.local + local_rank, local_rank))
        children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children)


def _whole_life(order: Order, rank: int, local_rank: int) -> int:
    # The system ends a rank that waits in a library for somebody who never comes.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(order.seconds)
    try:
        take_part(order, rank, local_rank)
    except Exception as error:
        say(rank, "failed", reason=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}")
        return 1
    return 0


def take_part(order: Order, rank: int, local_rank: int) -> None:
    """One rank: come, meet, reduce."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    say(rank, "came", host=socket.gethostname(), pid=os.getpid(), torch=torch.__version__)
    threading.Thread(target=_beat, args=(rank,), daemon=True).start()
    wait = timedelta(seconds=order.seconds)
    store = dist.TCPStore(
        order.address, order.port, is_master=rank == 0, timeout=wait, wait_for_workers=False
    )
    store.set(f"here-{rank}", "")
    store.wait([f"here-{other}" for other in range(order.world)], wait)
    say(rank, "met", clock=time.time(), sees=bool(order.token) and Path(order.token).exists())
    if order.gpu:
        torch.cuda.set_device(local_rank)
    backend = "nccl" if order.gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=order.world, timeout=wait)
    seconds, right = _reduce(order, torch.device("cuda", local_rank) if order.gpu else torch.device("cpu"))
    say(rank, "reduced", seconds=seconds, right=right)
    # Rank 0 keeps the meeting place; whoever left early would take it from those still on the way.
    store.set(f"done-{rank}", "")
    if rank == 0:
        store.wait([f"done-{other}" for other in range(order.world)], wait)


def _reduce(order: Order, device: Any) -> tuple[float, bool]:
    """Seconds of one all-reduce, the fastest of a few, and whether the sum was right."""
    import torch
    import torch.distributed as dist

    tensor = torch.ones(order.megabytes * 1024**2 // 4, dtype=torch.float32, device=device)
    dist.all_reduce(tensor)
    right = bool((tensor == order.world).all())
    times = []
    for _ in range(_ROUNDS):
        tensor.fill_(1.0)
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(tensor)
        if order.gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times), right


def _beat(rank: int) -> None:
    while True:
        time.sleep(_BEAT)
        say(rank, "alive")


def say(rank: int, what: str, **more: Any) -> None:
    """One line on stdout, whole, whoever else writes there."""
    os.write(1, (json.dumps({"rank": rank, "what": what, **more}) + "\n").encode())


def _number(name: str, environ: Mapping[str, str] = os.environ) -> int:
    return int(environ.get(name, "0"))


if __name__ == "__main__":
    sys.exit(main(Order(**json.loads(sys.argv[1]))))
