"""The command `config`: what it checks, what it shows, and an example that is complete and right."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2_exporter.cli import settings_schema as schema
from l2_exporter.cli.config import EXAMPLE_FILE, command
from l2_exporter.cli.main import Group

DOCS = Path(__file__).parents[2] / "docs"
FILE = """\
vault = 'data'
[record]
instruments = ["BTC-USDT"]
cadence_s = 0.5
[venue.okx]
channel = "books5"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with no settings around."""
    monkeypatch.delenv("L2_VAULT", raising=False)
    monkeypatch.delenv("L2_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    group = Group("l2-exporter")
    group.add_command(command)
    return CliRunner().invoke(group, ["config", *arguments])


def flat(tables: dict[str, object], above: str = "") -> dict[str, object]:
    """List the values of a TOML file by full name."""
    values: dict[str, object] = {}
    for name, value in tables.items():
        values |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return values


# ---- check ----------------------------------------------------------------------------------------------------------


def test_check_of_good_settings(here: Path) -> None:
    assert run("check").stdout.splitlines() == [
        f"vault: {here / 'vault'}",
        "config: none, there is no l2.toml in this folder",
        "no problems",
    ]
    (here / "etc").mkdir()
    file = here / "etc" / "l2.toml"
    file.write_text(FILE)
    result = run("check", "--config", str(file))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"vault: {here / 'etc' / 'data'}", f"config: {file}", "no problems"]
    report = {"vault": str(here / "etc" / "data"), "config": str(file), "problems": []}
    assert json.loads(run("check", "--config", str(file), "--json").stdout) == report


def test_check_has_a_line_for_each_problem(here: Path) -> None:
    (here / "l2.toml").write_text("[record]\ncadense_s = 2\ndepth = 0\n[retention]\ncodec = 'zip'\n")
    said = [
        "l2.toml: [record] has no key `cadense_s`; did you mean `cadence_s`?",
        "l2.toml: [record] depth must be a whole number from 1 to 100000, not 0",
        "l2.toml: [retention] codec must be one of gzip, zstd, not 'zip'; did you mean 'gzip'?",
    ]
    result = run("check")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"error: {line}" for line in said]
    assert "no problems" not in result.stdout
    result = run("check", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["problems"] == said


@pytest.mark.parametrize("action", ["check", "show"])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_file_that_cannot_be_read(action: str, as_json: tuple[str, ...]) -> None:
    result = run(action, "--config", "none.toml", *as_json)
    assert result.exit_code == 2
    assert "--config names none.toml, but there is no such file" in result.output
    assert "Traceback" not in result.output


# ---- show -----------------------------------------------------------------------------------------------------------


def test_show_names_every_value_and_where_it_came_from(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "l2.toml").write_text(FILE)
    monkeypatch.setenv("L2_VAULT", str(here / "elsewhere"))
    report = json.loads(run("show", "--json").stdout)
    assert report["vault"] == str(here / "elsewhere")
    assert report["config"] == str(here / "l2.toml")
    assert list(report["settings"]) == [key.name for key in schema.all_keys()]
    assert report["settings"]["vault"] == {
        "value": str(here / "elsewhere"),
        "origin": "environment",
        "from": "L2_VAULT",
    }
    file = {"origin": "file", "from": "l2.toml"}
    assert report["settings"]["record.instruments"] == {"value": ["okx:BTC-USDT"], **file}
    assert report["settings"]["record.cadence_s"] == {"value": 0.5, **file}
    assert report["settings"]["record.grace_s"] == {"value": 1, "origin": "default", "from": ""}
    assert report["settings"]["venue.okx.ws_url"]["value"] is None
    assert report["settings"]["log.file"]["value"] == str(here / "elsewhere" / "meta" / "logs" / "l2_exporter.log")
    lines = [" ".join(line.split()) for line in run("show").stdout.splitlines()]
    assert lines[:4] == [
        f"vault: {here / 'elsewhere'}",
        f"config: {here / 'l2.toml'}",
        "",
        f'vault = "{here / "elsewhere"}" # environment L2_VAULT',
    ]
    assert 'instruments = ["okx:BTC-USDT"] # file l2.toml' in lines
    assert "cadence_s = 0.5 # file l2.toml" in lines
    assert "tape = false # default" in lines
    assert "# ws_url: the venue's own, wss://ws.okx.com:8443/ws/v5/public # default" in lines
    assert lines.index("[venue.okx]") < lines.index('channel = "books5" # file l2.toml') < lines.index("[retention]")


def test_what_show_prints_is_a_file_that_means_the_same(here: Path) -> None:
    (here / "l2.toml").write_text(FILE)
    shown = run("show").stdout.split("\n", 2)[2]
    (here / "again.toml").write_text(shown)
    before, after = (
        json.loads(run("show", "--json", *more).stdout)["settings"] for more in ((), ("--config", "again.toml"))
    )
    assert {name: one["value"] for name, one in after.items()} == {name: one["value"] for name, one in before.items()}


# ---- example --------------------------------------------------------------------------------------------------------


def uncommented() -> str:
    """The example with every setting in it switched on."""
    return re.sub(r"^# (\w+ = )", r"\1", EXAMPLE_FILE, flags=re.MULTILINE)


def test_the_example_passes_check_as_it_is_and_with_every_setting_on(here: Path) -> None:
    (here / "l2.toml").write_text(run("example").stdout)
    assert run("check").exit_code == 0
    for name in ("proxy-ca.pem", "coinbase.toml"):
        (here / name).touch()
    (here / "l2.toml").write_text(uncommented())
    result = run("check")
    assert result.stderr == ""
    assert result.exit_code == 0


def test_the_example_is_complete_and_holds_the_defaults() -> None:
    assert run("example").stdout == EXAMPLE_FILE == json.loads(run("example", "--json").stdout)["toml"]
    assert EXAMPLE_FILE.isascii()
    venue_of = re.compile(r"venue\.(?!okx\.)")
    keys = {key.name: key for key in schema.all_keys() if not venue_of.match(key.name)}
    assert list(flat(tomllib.loads(uncommented()))) == list(keys)
    for name, value in flat(tomllib.loads(EXAMPLE_FILE)).items():
        assert value == keys[name].default, name
    commented = set(keys) - set(flat(tomllib.loads(EXAMPLE_FILE)))
    assert {name for name in keys if keys[name].default is None} == commented - {"log.file"}


def test_every_setting_of_the_operations_page_is_right(here: Path) -> None:
    page = (DOCS / "OPERATIONS.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    for number, block in enumerate(blocks):
        (here / "l2.toml").write_text(block)
        assert run("check").stderr == "", f"block {number}"
    assert len(blocks) > 0


@pytest.mark.parametrize("arguments", [(), ("check",), ("show",), ("example",)])
def test_help_has_an_example(arguments: tuple[str, ...]) -> None:
    assert "l2-exporter config example > l2.toml" in run(*arguments, "--help").stdout
