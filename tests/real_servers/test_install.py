from pathlib import Path

import pytest

from tests.real_parts.install import MissingPartError
from tests.real_servers import install
from tests.real_servers.specs import SPECS


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the installer find its locks, and put its environments, in a scratch folder."""
    folder = tmp_path / "locks"
    folder.mkdir()
    monkeypatch.setattr(install, "LOCKS", folder)
    monkeypatch.setattr(install, "TOOLS", tmp_path)
    return folder


def test_every_server_is_pinned_by_hash_and_without_an_address() -> None:
    """Each server that a test can name has a lock that installs the same from any registry."""
    assert set(SPECS) == set(install.NAMES)
    for name in install.NAMES:
        lock = (install.LOCKS / f"{name}.txt").read_text(encoding="utf-8")

        assert lock.count("--hash=sha256:") >= lock.count("==") > 0
        assert "://" not in lock


def test_an_environment_is_made_once_and_again_for_another_lock(locks: Path) -> None:
    """What is there is used again; a lock that changed makes a new one."""
    lock = locks / "small.txt"
    lock.write_text("# nothing\n", encoding="utf-8")
    folder = install.environment_of("small")
    (folder / "seen").touch()

    assert (install.environment_of("small") / "seen").exists()
    lock.write_text("# nothing, anew\n", encoding="utf-8")
    assert not (install.environment_of("small") / "seen").exists()
    assert (folder / "bin/python").exists()


def test_a_server_that_cannot_be_installed_is_missing_and_leaves_nothing(locks: Path) -> None:
    """A package whose hash is another one is never installed, not even in part."""
    (locks / "odd.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")

    with pytest.raises(MissingPartError, match="odd"):
        install.environment_of("odd")

    assert not (locks.parent / "servers/odd").exists()


def test_without_the_installer_a_server_is_missing(
    locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where uv is not to be had, the reason says how to get it."""
    monkeypatch.setattr("sys.executable", str(locks / "python"))
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(MissingPartError, match="pip install uv"):
        install.uv()
