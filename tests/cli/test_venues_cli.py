"""`venues`: the table it prints is the one the documents carry, and each venue has a page."""

import json
from pathlib import Path

from click.testing import CliRunner

from l2_exporter.cli.main import cli
from l2_exporter.venues.registry import VENUES

PAGES = Path(__file__).parents[2] / "docs" / "venues"


def test_the_documents_carry_the_table() -> None:
    result = CliRunner().invoke(cli, ["venues", "--markdown"])
    assert result.exit_code == 0
    page = (PAGES / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith("| ")] == result.output.splitlines()


def test_every_venue_has_a_page_that_the_table_s_page_links() -> None:
    page = (PAGES / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" in page} == pages
    for name in VENUES:
        assert f"| {name} |" in page


def test_json_names_what_proves_continuity() -> None:
    result = CliRunner().invoke(cli, ["venues", "--json"])
    found = {(row["venue"], row["name"]): row for row in json.loads(result.output)}
    assert list(found) == [(venue.name, name) for venue in VENUES.values() for name in venue.channels]
    books = found["okx", "books"]
    assert (books["continuity"], books["seeding"], books["scope"]) == ("sequence", "pushed", "book")
    assert books["markets"] == ["perp", "futures", "spot", "option"]
    assert books["link"]["books_per_connection"] == 25
