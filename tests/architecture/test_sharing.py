"""How ``make test`` shares its files out: what it says of some of them is true of files that are there."""

import importlib.util


def test_files_that_stay_together_or_are_begun_first_exist(root) -> None:
    spec = importlib.util.spec_from_file_location("sharing", root / "tests" / "conftest.py")
    sharing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sharing)
    named = [*sharing.LONGEST, *(path for paths in sharing.TOGETHER.values() for path in paths)]
    assert not [path for path in named if not (root / "tests" / path).exists()]
