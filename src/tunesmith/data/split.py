"""Which rows are held out for evaluation: a pure function of the rows' content and the seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from tunesmith.data.kinds.table import stratum_of
from tunesmith.data.map.map_row import MappedRow
from tunesmith.data.map.normalise import BadRow, to_text
from tunesmith.errors import UserError
from tunesmith.recipe.schema.data import Holdout
from tunesmith.suggest import did_you_mean

MOST_CLASSES = 100
"""Labels up to which each keeps its share of the rows that are held out."""


def hold_out(
    samples: Sequence[MappedRow],
    holdout: Holdout,
    seed: int,
    where: str = "",
    together: str | None = None,
    *,
    apart: bool = False,
) -> tuple[list[MappedRow], list[MappedRow]]:
    """Part rows into those for training and those for evaluation; both keep their order.

    A row's side hangs on a hash of its input and the seed, so that rows added later move few others, and
    rows with the same input stand on one side. An input that has more rows than are wanted stays in training,
    so that it may be a few rows less.

    Args:
        samples: rows without duplicates.
        holdout: how many, or which share; from which column the shares are kept (default: the label).
        seed: another seed holds out other rows.
        where: the place in the recipe, for messages.
        together: a column; rows with the same value there stand on one side, all of them, so that somewhat
            more rows than asked for may be held out.
        apart: rows with the same input may be parted, for they may stand on both sides.

    Raises:
        UserError: nothing would be left to train on, or the count is not whole, or a column is not there, or
            most rows have the same input.
    """
    count = holdout_count(len(samples), holdout.holdout, where)
    strata = _strata(samples, holdout.stratify, where)
    families = [family_of(sample, together) for sample in samples]
    shares = allocate(dict(Counter(strata)), count)
    if holdout.stratify is None:
        shares = _leaving_one(shares, Counter(strata))
    if together is not None or apart:
        chosen = _ranked(strata, families, shares, seed)
    else:
        chosen = _whole_families(strata, families, shares, seed)
        if 2 * len(chosen) < count:
            raise _few_families(families, count, len(chosen), where)
    if together is not None:
        whole = {families[index] for index in chosen}
        chosen = {index for index, family in enumerate(families) if family in whole}
        _refuse_all(len(chosen), len(samples), together, where)
    train = [sample for index, sample in enumerate(samples) if index not in chosen]
    return train, [samples[index] for index in sorted(chosen)]


def _ranked(
    strata: Sequence[str], families: Sequence[bytes], shares: Mapping[str, int], seed: int
) -> set[int]:
    """Of each stratum so many rows as its share, by their family's rank."""
    chosen: set[int] = set()
    groups: dict[str, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        groups[stratum].append(index)
    for stratum, group in groups.items():
        ranked = sorted(group, key=lambda index: (_rank(families[index], seed), index))
        chosen.update(ranked[: shares[stratum]])
    return chosen


def _whole_families(
    strata: Sequence[str], families: Sequence[bytes], shares: Mapping[str, int], seed: int
) -> set[int]:
    """Families by their rank, each whole or not at all.

    First those are taken for whose rows every stratum has room, then those for which there is room anywhere.
    """
    members: dict[bytes, list[int]] = defaultdict(list)
    for index, family in enumerate(families):
        members[family].append(index)
    ranked = sorted(members, key=lambda family: (_rank(family, seed), members[family]))
    left, chosen = dict(shares), set[int]()
    for family in ranked:
        wanted = Counter(strata[index] for index in members[family])
        if all(left[stratum] >= number for stratum, number in wanted.items()):
            chosen.update(members[family])
            for stratum, number in wanted.items():
                left[stratum] -= number
    rest = sum(left.values())
    for family in ranked if rest else ():
        if members[family][0] not in chosen and len(members[family]) <= rest:
            chosen.update(members[family])
            rest -= len(members[family])
    return chosen


def _few_families(families: Sequence[bytes], count: int, found: int, where: str) -> UserError:
    sizes = sorted(Counter(families).values())
    asked = (
        f"there are only {len(sizes)} different inputs" if len(sizes) > 1 else "all rows have the same input"
    )
    return UserError(
        f"{count} rows should be held out, and {found} can be: rows with the same input stay together, "
        f"{asked}, and the largest group has {sizes[-1]} of the {len(families)} rows",
        where,
        "give it rows of its own, or set `data.clean.leakage: keep`: an input may then stand on both sides",
    )


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


def family_of(sample: MappedRow, together: str | None) -> bytes:
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


def _strata(samples: Sequence[MappedRow], column: str | None, where: str) -> list[str]:
    """Values of a column; without one, of the label, as long as labels are classes that come again."""
    if column is not None:
        return [column_text(sample, column, "stratify", where) for sample in samples]
    labels = [stratum_of(sample.row) for sample in samples]
    return labels if len(set(labels)) <= MOST_CLASSES else [""] * len(labels)


def _leaving_one(shares: Mapping[str, int], sizes: Mapping[str, int]) -> dict[str, int]:
    """The same sum, with a row of every class left to learn from where that can be."""
    left = dict(shares)
    for name in sorted(name for name in left if left[name] == sizes[name]):
        roomy = max(left, key=lambda other: (sizes[other] - left[other], other))
        if sizes[roomy] - left[roomy] > 1:
            left[name] -= 1
            left[roomy] += 1
    return left


def column_text(sample: MappedRow, column: str, key: str, where: str = "") -> str:
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
