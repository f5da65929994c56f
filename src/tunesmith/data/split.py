"""Which rows are held out for evaluation: a pure function of the rows' content and the seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from tunesmith.data.sample import Sample
from tunesmith.data.text import BadRow, to_text
from tunesmith.errors import UserError
from tunesmith.recipe.schema import Holdout
from tunesmith.sources.nearest import did_you_mean


def hold_out(
    samples: Sequence[Sample], holdout: Holdout, seed: int, where: str = ""
) -> tuple[list[Sample], list[Sample]]:
    """Part rows into those for training and those for evaluation; both keep their order.

    A row's side hangs on a hash of its input and the seed, so that rows added later move few others, and
    rows with the same input stand together (but for the last place).

    Args:
        samples: rows without duplicates.
        holdout: how many, or which share; from which column the shares are kept.
        seed: another seed holds out other rows.
        where: the place in the recipe, for messages.

    Raises:
        UserError: nothing would be left to train on, or the count is not whole, or a column is not there.
    """
    count = holdout_count(len(samples), holdout.holdout, where)
    strata = [_stratum(sample, holdout.stratify, where) for sample in samples]
    chosen: set[int] = set()
    groups: dict[str, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        groups[stratum].append(index)
    shares = allocate({stratum: len(group) for stratum, group in groups.items()}, count)
    for stratum, group in groups.items():
        ranked = sorted(group, key=lambda index: (_rank(samples[index], seed), index))
        chosen.update(ranked[: shares[stratum]])
    train = [sample for index, sample in enumerate(samples) if index not in chosen]
    return train, [samples[index] for index in sorted(chosen)]


def holdout_count(rows: int, holdout: float, where: str = "") -> int:
    """How many rows are held out: a share below 1 is rounded, and is one row at least.

    Raises:
        UserError: the count is not whole, or leaves nothing to train on.
    """
    if holdout >= 1 and holdout != int(holdout):
        raise UserError(
            f"`holdout: {holdout:g}` is not a whole number of rows", where, "below 1 it is a share"
        )
    count = int(holdout) if holdout >= 1 else max(1, round(holdout * rows))
    if count >= rows:
        raise UserError(
            f"`holdout: {holdout:g}` holds out {count} rows, and there are {rows} after cleaning",
            where,
            "hold out fewer, give `data.eval` a source of its own, or bring more rows",
        )
    return count


def allocate(sizes: Mapping[str, float], count: int) -> dict[str, int]:
    """Share ``count`` among groups in proportion to their sizes, by largest remainders (Hamilton)."""
    total = sum(sizes.values())
    exact = {name: count * size / total for name, size in sizes.items()}
    shares = {name: int(share) for name, share in exact.items()}
    rest = count - sum(shares.values())
    for name in sorted(sizes, key=lambda name: (shares[name] - exact[name], name))[:rest]:
        shares[name] += 1
    return shares


def _rank(sample: Sample, seed: int) -> bytes:
    return blake2b(sample.input_key, digest_size=16, salt=(seed % 2**64).to_bytes(8, "little")).digest()


def _stratum(sample: Sample, column: str | None, where: str) -> str:
    if column is None:
        return ""
    if column not in sample.columns and column not in sample.row.fields:
        raise UserError(
            f"`stratify` names the column `{column}`, which is not there in {sample.place}",
            where,
            did_you_mean(column, sample.columns, "columns"),
        )
    value = sample.columns[column] if column in sample.columns else sample.row.fields[column]
    try:
        return to_text(value, column)
    except BadRow as bad:
        raise UserError(
            f"`stratify` cannot part rows: {bad.detail}", sample.place, "name a column of text"
        ) from bad
