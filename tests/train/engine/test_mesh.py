"""Shares of the rows have a size and a rank of their own."""

from types import SimpleNamespace

import torch

from tunesmith.train.engine.mesh import Mesh, mesh_of, sum_over_dp


class Joined(SimpleNamespace):
    """Two processes, of which the other holds the same numbers."""

    num_processes, process_index, device = 2, 1, torch.device("cpu")

    def reduce(self, tensor: torch.Tensor, reduction: str) -> torch.Tensor:
        assert reduction == "sum"
        assert tensor.dtype == torch.float64
        return 2 * tensor


def test_today_every_process_has_rows_of_its_own() -> None:
    assert mesh_of(Joined()) == Mesh(dp_size=2, dp_rank=1)
    assert Mesh() == Mesh(dp_size=1, dp_rank=0)


def test_totals_are_formed_over_shares_of_rows() -> None:
    assert sum_over_dp(Joined(), [1, 0.1]) == [2.0, 0.2]
    assert sum_over_dp(SimpleNamespace(num_processes=1, process_index=0), [1, 0.1]) == [1.0, 0.1]
