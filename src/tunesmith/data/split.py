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
    samples: Sequence[Sample], holdout: Holdout, seed: int, where: str = "", together: str | None = None
) -> tuple[list[Sample], list[Sample]]:
    """Part rows into those for training and those for evaluation; both keep their order.

    A row's side hangs on a hash of its input and the seed, so that rows added later move few others, and
    rows with the same input stand together (but for the last place).

    Args:
        samples: rows without duplicates.
        holdout: how many, or which share; from which column the shares are kept.
        seed: another seed holds out other rows.
        where: the place in the recipe, for messages.
        together: a column; rows with the same value there stand on one side, all of them, so that somewhat
            more rows than asked for may be held out.

    Raises:
        UserError: nothing would be left to train on, or the count is not whole, or a column is not there.
    """
    count = holdout_count(len(samples), holdout.holdout, where)
    strata = [_stratum(sample, holdout.stratify, where) for sample in samples]
    families = [family_of(sample, together) for sample in samples]
    chosen: set[int] = set()
    groups: dict[str, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        groups[stratum].append(index)
    shares = allocate({stratum: len(group) for stratum, group in groups.items()}, count)
    for stratum, group in groups.items():
        ranked = sorted(group, key=lambda index: (_rank(families[index], seed), index))
        chosen.update(ranked[: shares[stratum]])
    if together is not None:
        whole = {families[index] for index in chosen}
        chosen = {index for index, family in enumerate(families) if family in whole}
        _refuse_all(len(chosen), len(samples), together, where)
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


def _rank(family: bytes, seed: int) -> bytes:
    return blake2b(family, digest_size=16, salt=(seed % 2**64).to_bytes(8, "little")).digest()


def family_of(sample: Sample, together: str | None) -> bytes:
    """What rows that belong together have in common: their value of a column, else their input."""
    value = "" if together is None else column_text(sample, together, "eval.cluster")
    return value.encode() if value else sample.input_key


def _refuse_all(chosen: int, rows: int, together: str, where: str) -> None:
    if chosen == rows:
        raise UserError(
            f"rows with the same `{together}` are held out together, and that leaves none to train on",
            where,
            "hold out fewer, or name another column in `eval.cluster`",
        )


def _stratum(sample: Sample, column: str | None, where: str) -> str:
    return "" if column is None else column_text(sample, column, "stratify", where)


def column_text(sample: Sample, column: str, key: str, where: str = "") -> str:
    """A row's value of a column as text; empty where it has none.

    Args:
        sample: the row.
        column: of the row as it was read, or one of its fields.
        key: the recipe's key that names the column, for messages.
        where: the place in the recipe, if it is not the key itself.

    Raises:
        UserError: if the row has no such column, or its value is no text.
    """
    if column not in sample.columns and column not in sample.row.fields:
        raise UserError(
            f"`{key}` names the column `{column}`, which is not there in {sample.place}",
            where or key,
            did_you_mean(column, sample.columns, "columns"),
        )
    value = sample.columns[column] if column in sample.columns else sample.row.fields[column]
    try:
        return to_text(value, column)
    except BadRow as bad:
        raise UserError(
            f"`{key}` cannot part rows: {bad.detail}", sample.place, "name a column of text"
        ) from bad
