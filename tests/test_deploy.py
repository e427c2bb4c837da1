"""The units of `deploy/`: systemd understands them, and what they run is there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from sales_assets.cli import main

REPOSITORY = Path(__file__).parents[1]
UNITS = sorted(path for path in (REPOSITORY / "deploy").iterdir() if path.suffix != ".env")
INSTALLED = "/opt/sales/.venv/bin/sales"


@pytest.mark.parametrize("unit", [path.name for path in UNITS if path.suffix == ".service"])
def test_what_a_service_runs_is_a_command_with_its_options(unit: str) -> None:
    lines = (REPOSITORY / "deploy" / unit).read_text(encoding="utf-8").splitlines()
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    installed, *arguments = command.removeprefix("ExecStart=").split()
    assert installed == INSTALLED
    assert CliRunner().invoke(main, [*arguments, "--help"]).exit_code == 0


def test_each_unit_is_told_of() -> None:
    told = (REPOSITORY / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert [unit.stem for unit in UNITS if unit.stem not in told] == []


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze, of Debian's systemd"
)
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    command = tmp_path / "sales"
    command.touch(mode=0o755)
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace(INSTALLED, str(command))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / unit.name for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
