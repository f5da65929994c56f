"""Examples to rows of one length, padded on the right."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def padded(
    sequences: Sequence[Sequence[int]], marks: Sequence[Sequence[int]], pad_token: int
) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``attention_mask`` [B, T], and where in B * T what is supervised is predicted.

    Args:
        sequences: token ids of each example.
        marks: which tokens (1) carry loss.
        pad_token: fills rows.
    """
    width = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), width), pad_token)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    keep, labels, owners = [], [], []
    for owner, (sequence, row) in enumerate(zip(sequences, marks, strict=True)):
        ids[owner, : len(sequence)] = torch.tensor(sequence)
        mask[owner, : len(sequence)] = 1
        for position in (i for i in range(1, len(sequence)) if row[i]):
            keep.append(owner * width + position - 1)
            labels.append(sequence[position])
            owners.append(owner)
    vectors = {"keep": keep, "labels": labels, "owners": owners}
    return {"input_ids": ids, "attention_mask": mask} | {
        name: torch.tensor(values, dtype=torch.long) for name, values in vectors.items()
    }
