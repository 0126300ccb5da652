"""Compiled kernels are never older than the sources."""

from pathlib import Path

import numba

import dsp
from dsp.compiled import fingerprint, folder, sources


def test_any_change_of_any_source_is_another_folder(tmp_path: Path) -> None:
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("X = 1")
    b.write_text("Y = 1")
    seen = {fingerprint([a, b]), fingerprint([b, a])}
    assert len(seen) == 1
    b.write_text("Y = 2")
    seen.add(fingerprint([a, b]))
    b.rename(tmp_path / "c.py")
    seen.add(fingerprint([a, tmp_path / "c.py"]))
    assert len(seen) == 3


def test_what_a_kernel_is_made_from_counts_and_what_only_uses_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    for name, text in {
        "loop": "from numba import njit\nfrom dsp.helper import f\nfrom dsp import table as t, other\n",
        "helper": "from dsp.part.deep import X\n",
        "part/deep": "X = 1\n",
        "table": "",
        "other": "",
        "user": "from dsp.loop import g\n",
        "second": "from dsp.kernels import kernel\n",
        "kernels": "import numba\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = {path.relative_to(tmp_path).with_suffix("").as_posix() for path in sources(tmp_path)}
    assert found == {"loop", "helper", "part/deep", "table", "other", "second", "kernels"}


def test_every_file_with_a_kernel_counts() -> None:
    names = {path.name for path in sources()}
    assert {"qrs_run.py", "beat_state.py", "quality.py", "waves.py"} <= names
    assert "service.py" not in names


def test_folders_of_earlier_sources_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "kernels-0123").mkdir()
    (tmp_path / "other").mkdir()
    kept = folder(str(tmp_path))
    kept.mkdir()
    assert folder(str(tmp_path)) == kept
    assert {p.name for p in tmp_path.iterdir()} == {kept.name, "other"}


def test_the_detectors_use_it() -> None:
    assert Path(numba.config.CACHE_DIR).name == folder().name
    assert dsp.__doc__
