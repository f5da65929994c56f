"""A process whose work is done keeps the others company, one forward pass at a time."""

import torch

from tunesmith.train.inference.lockstep import in_lockstep


class OtherBusy:
    """The other process, as this one hears of it: it makes so many passes more."""

    device = torch.device("cpu")

    def __init__(self, passes: int) -> None:
        self.passes, self.asked = passes, 0

    def reduce(self, mine: torch.Tensor, reduction: str) -> torch.Tensor:
        self.asked += 1
        return mine + torch.tensor([float(self.asked <= self.passes), 0.0])


def test_an_idle_work_of_many_passes_makes_one_at_a_time():
    model, passed, ended = torch.nn.Linear(2, 2), [], []
    model.register_forward_hook(lambda *_: passed.append("forward"))

    def idle():
        for _ in range(3):
            model(torch.zeros(1, 2))
        ended.append("idle")

    other = OtherBusy(passes=4)
    assert in_lockstep(other, model, lambda: model(torch.zeros(1, 2)).shape, idle) == (1, 2)
    assert passed == ["forward"] * 4, "one of its own, and three for the other"
    assert not ended
    assert other.asked == 5
    assert len(model._forward_hooks) == 1, "its own hooks are gone"
