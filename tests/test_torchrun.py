"""What torchrun starts several times works together, or says that it cannot."""

from __future__ import annotations

import pytest

from frostnas.cli.execute import Options, execute
from frostnas.cli.failure import WRONG_INPUT

ALONE = ["search-block", "profile-latency", "export", "ladder", "run", "evaluate", "report", "zoo", "predict"]


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that torchrun gives to its second process."""
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("command", ALONE)
@pytest.mark.usefixtures("second_of_two")
def test_commands_that_cannot_share_their_work_refuse_by_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        execute(command, [], Options())
    assert left.value.code == WRONG_INPUT
    assert capsys.readouterr().err == (
        f"frostnas: error: {command}: works in one process; expected torchrun with search-net or train alone\n"
    )


@pytest.mark.parametrize("command", ["search-net", "train"])
@pytest.mark.usefixtures("second_of_two")
def test_commands_that_share_their_work_start(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(command, [], Options(cfg=True))
    assert "run_dir:" in capsys.readouterr().out
