"""`sales doctor --source`: everything that is wrong with a delivery, before it is loaded."""

import shutil
import zipfile
from pathlib import Path

import pytest

from sales_assets.doctor import ROWS_TOLD, Finding, examine_delivery
from sales_assets.errors import SalesError
from sales_assets.settings import Settings
from tests.conftest import sales
from tests.sources.conftest import GOOD, HEADER, PLAN_HEADER, STORES, write

SOUND = {"store.csv": STORES, "train.csv": HEADER + GOOD}


def examine(tmp_path: Path, files: dict[str, str], **settings: object) -> list[Finding]:
    """Examine a delivery of the given files, beside a home that does not exist."""
    write(tmp_path / "source", files)
    home = tmp_path / "home"
    chosen = Settings.load().model_copy(update={"home": home, "max_refused_share": 0.5, **settings})
    findings = examine_delivery(chosen, tmp_path / "source")
    assert not home.exists()
    return findings


def problems(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if not finding.is_well]


def test_a_sound_delivery_is_well(tmp_path: Path) -> None:
    findings = examine(tmp_path, SOUND)
    assert problems(findings) == []
    assert [finding.text for finding in findings] == [
        "store.csv: 2 of 2 rows can be used",
        "train.csv: 1 of 1 rows can be used",
    ]


def test_rows_that_would_be_refused_are_told_by_file_and_line(tmp_path: Path) -> None:
    findings = examine(
        tmp_path,
        {
            "store.csv": STORES + "3,e,a\n",
            "train.csv": HEADER + GOOD + "1,1,2015-01-06,-5,1,1,0,0,0\n9,1,2015-01-05,1,1,1,0,0,0\n"
            "1,1,2015-01-07,1,1,1,0,0,0\n1,1,2015-01-08,1,1,1,0,0,0\n",
            "test.csv": PLAN_HEADER + "1,1,2,2015-01-09,1,1,0,0\n2,1,2,2015-01-10,1,,0,0\n",
        },
    )
    assert problems(findings) == [
        "store.csv, line 4: StoreType 'e' is none of a, b, c, d",
        "train.csv, line 3: Sales is negative: -5",
        "train.csv, line 4: Store 9 is not in store.csv",
        "test.csv, line 3: Promo is blank",
    ]
    assert "train.csv: 3 of 5 rows can be used" in [finding.text for finding in findings]


def test_faults_of_every_file_are_told_at_once(tmp_path: Path) -> None:
    findings = examine(
        tmp_path,
        {
            "store.csv": "Store,StoreType\n1,a\n",
            "train.csv": HEADER + GOOD + "1,1,2015-01-06,-5,1,1,0,0,0\n",
            "test.csv": PLAN_HEADER + "1,5,2,2015-01-06,1,,0,0\n2,6,2,2015-01-06,1,1,0,0\n",
        },
        max_refused_share=1,
    )
    assert problems(findings) == [
        "store.csv, line 1: lacks column Assortment; the header reads 'Store,StoreType'",
        # Without store.csv, nothing is said of the stores.
        "train.csv, line 3: Sales is negative: -5",
        "test.csv, line 2: Promo is blank",
        f"A refresh would load nothing of {tmp_path / 'source'}.",
    ]


def test_every_column_at_fault_is_told_of_a_row(tmp_path: Path) -> None:
    findings = examine(
        tmp_path,
        {
            "store.csv": "Store,StoreType,Assortment,CompetitionDistance\n1,a,a,5\n3,e,,x\n",
            "train.csv": HEADER + GOOD + "9,1,05.01.2015,-5,1.5,2,,q,\n",
            "test.csv": PLAN_HEADER + "1.5,1.5,2,,maybe,,,2\n",
        },
        max_refused_share=1,
    )
    assert problems(findings) == [
        "store.csv, line 3: StoreType 'e' is none of a, b, c, d; Assortment is blank; "
        "CompetitionDistance 'x' is not a number",
        "train.csv, line 3: Date '05.01.2015' is not a date (YYYY-MM-DD); Sales is negative: -5; "
        "Customers '1.5' is not a whole number; Open '2' is neither 0 nor 1; Promo is blank; "
        "StateHoliday 'q' is none of 0, a, b, c; SchoolHoliday is blank; "
        "Store 9 is not in store.csv",
        "test.csv, line 2: Id '1.5' is not a whole number; Store '1.5' is not a whole number; "
        "Date is blank; Open 'maybe' is neither 0 nor 1; Promo is blank; StateHoliday is blank; "
        "SchoolHoliday '2' is neither 0 nor 1",
    ]


def test_no_kind_of_fault_hides_behind_the_first_of_its_rows(tmp_path: Path) -> None:
    negative = "".join(f"1,1,2015-01-05,-{number},1,1,0,0,0\n" for number in range(1, 41))
    both = "1,1,2015-01-05,-41,1,1,,0,0\n"
    findings = examine(tmp_path, {**SOUND, "train.csv": HEADER + GOOD + negative + both})
    assert "train.csv, line 43: Sales is negative: -41; Promo is blank" in problems(findings)


def test_a_missing_file_does_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    findings = examine(tmp_path, {"train.csv": HEADER + GOOD + "1,1,2015-02-30,5,1,1,0,0,0\n"})
    missing, row, _ = problems(findings)
    assert "has no store.csv; expected a directory or .zip" in missing
    assert row == "train.csv, line 3: Date '2015-02-30' is not a date (YYYY-MM-DD)"


def test_many_rows_of_one_kind_are_counted(tmp_path: Path) -> None:
    bad = "".join(f"1,1,2015-01-05,-{number},1,1,0,0,0\n" for number in range(1, 41))
    findings = examine(tmp_path, {**SOUND, "train.csv": HEADER + GOOD + bad})
    told = problems(findings)
    assert told[: ROWS_TOLD + 1] == [
        *(f"train.csv, line {2 + number}: Sales is negative: -{number}" for number in range(1, 6)),
        "train.csv: 35 more rows like line 7",
    ]
    assert told[ROWS_TOLD + 1] == (
        "train.csv: 40 of 41 rows (97.6 %) cannot be used, more than the 50 % allowed "
        "(SALES_MAX_REFUSED_SHARE)"
    )


def test_rows_that_quote_strange_values_are_of_one_kind(tmp_path: Path) -> None:
    quoted = "".join(f'1,1,2015-01-05,"{"x" * length}\'{length}",1,1,0,0,0\n'
                     for length in (1, 9, 400, 500, 600, 700, 800))  # fmt: skip
    findings = examine(tmp_path, {**SOUND, "train.csv": HEADER + GOOD + quoted})
    assert sum("more rows like" in text for text in problems(findings)) <= 1
    assert len(problems(findings)) <= 2 + ROWS_TOLD + 2


def test_files_that_cannot_be_read_are_told_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "source" / "train.csv").mkdir(parents=True)
    findings = examine(tmp_path, {"store.csv": "", "test.csv": PLAN_HEADER})
    assert [text.removeprefix(f"{tmp_path}/source/") for text in problems(findings)][:3] == [
        "store.csv is empty or starts with a blank line; expected a header with the columns Store, "
        "StoreType, Assortment",
        "train.csv cannot be read: Is a directory",
        "test.csv has a header but no rows",
    ]


def test_a_source_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SalesError, match=r"nowhere does not exist; expected a directory"):
        examine_delivery(Settings(home=tmp_path / "home"), tmp_path / "nowhere")


def test_the_command_ends_with_1_if_there_are_problems_and_leaves_the_home_as_it_was(
    home_copy: Path, source: Path, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in home_copy.rglob("*")}
    assert sales("doctor", "--source", source, "--home", home_copy).stdout.splitlines() == [
        "ok       store.csv: 12 of 12 rows can be used",
        "ok       train.csv: 6,000 of 6,000 rows can be used",
        "ok       test.csv: 576 of 576 rows can be used",
    ]
    bad = Path(shutil.copytree(source, tmp_path / "bad"))
    with (bad / "train.csv").open("a") as train:
        train.write("1,4,2014-05-15,soon,1,1,0,0,0\n")
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in bad.iterdir():
            packed.write(path, path.name)
    done = sales("doctor", "--source", archive, "--home", home_copy, check=False)
    assert done.returncode == 1
    assert "PROBLEM  train.csv, line 6002: Sales 'soon' is not a number" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in home_copy.rglob("*")} == before


def test_what_was_published_before_counts_as_loaded(home: Path, tmp_path: Path) -> None:
    # Store 7 is known from before; 2019 is far from every day that was loaded.
    later = HEADER + "7,5,2014-05-16,100,10,1,0,0,0\n7,5,2019-05-16,100,10,1,0,0,0\n"
    write(tmp_path / "source", {"store.csv": STORES, "train.csv": later})
    settings = Settings(home=home, max_refused_share=0.5)
    (found,) = problems(examine_delivery(settings, tmp_path / "source"))
    assert found.startswith("train.csv, line 3: Date 2019-05-16 is 1826 days after 2014-05-16")
