"""CSV files are read as JSON would be, and what cannot be read is told by line and field."""

import pytest

from serving import tables
from serving.problems import UnusableRowsError
from serving.tables import lines, read_instances


def test_empty_fields_leave_the_plan_as_it_is() -> None:
    text = "date,store_id,is_promo,state_holiday\n2015-06-25,11,TRUE,\n2015-06-26,12,,easter\n"
    first, second = read_instances(text.encode())
    assert (first.store_id, str(first.date), first.is_promo) == (11, "2015-06-25", True)
    assert first.state_holiday is None
    assert (second.is_promo, second.state_holiday) == (None, "easter")


def test_spreadsheets_mark_their_text_and_end_lines_their_way() -> None:
    (found,) = read_instances("\ufeffstore_id,date\r\n11,2015-06-25\r\n".encode())
    assert found.store_id == 11


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (b"", "body", "lacks store_id and date"),
        (b"store_id,date\n", "body", "no rows"),
        (b"store_id\n1\n", "body", "lacks date"),
        (b"store_id,date,sales\n", "body", "and not store_id, date, sales"),
        (b"store_id,date,date\n", "body", "each once"),
        (b"\xff\xfe", "body", "no UTF-8"),
        (b'store_id,date\n"1,2015-06-25\n', "body", "no CSV"),
        (b"store_id,date\n1.5,2015-06-25\n", "line 2: store_id", "valid integer"),
        (b"store_id,date\n-1,2015-06-25\n", "line 2: store_id", "valid integer"),
        ("store_id,date\n\u0661\u0661,2015-06-25\n".encode(), "line 2: store_id", "valid integer"),
        (b"store_id,date\n" + b"9" * 5000 + b",2015-06-25\n", "line 2: store_id", "valid integer"),
        (b"store_id,date\n,2015-06-25\n", "line 2: store_id", "required"),
        (b"store_id,date\n1,25.06.2015\n", "line 2: date", "written like"),
        (b"store_id,date,is_promo\n1,2015-06-25,maybe\n", "line 2: is_promo", "valid boolean"),
        (b"store_id,date\n1,2015-06-25,x\n", "line 2: more fields than columns", "not permitted"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_told(content: bytes, field: str, message: str) -> None:
    with pytest.raises(UnusableRowsError) as told:
        read_instances(content)
    assert told.value.errors[0]["field"] == field
    assert message in told.value.errors[0]["message"]


def test_every_wrong_row_is_told() -> None:
    with pytest.raises(UnusableRowsError, match=r"line 2: store_id: .*, and 1 more") as told:
        read_instances(b"store_id,date\nx,2015-06-25\n1,2015-06-25\n1,yesterday\n")
    assert [error["field"] for error in told.value.errors] == ["line 2: store_id", "line 4: date"]


def test_a_file_has_only_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    row = b"1,2015-06-25\n"
    assert len(read_instances(b"store_id,date\n" + 2 * row)) == 2
    with pytest.raises(UnusableRowsError, match="at most 2 rows"):
        read_instances(b"store_id,date\n" + 3 * row)
    # Rows count, and not what is wrong with them.
    wrong = b"a,b\n"
    with pytest.raises(UnusableRowsError) as error:
        read_instances(b"store_id,date\n" + 2 * wrong)
    assert len(error.value.errors) == 4
    for rows in (3 * wrong, row + 100 * wrong):
        with pytest.raises(UnusableRowsError, match="at most 2 rows"):
            read_instances(b"store_id,date\n" + rows)


def test_predictions_are_written_as_lines_under_one_header() -> None:
    found = [
        {
            "store_id": 1, "date": "2015-06-25", "h": 6, "forecast": 10.126,
            "intervals": {"80": [9.0, 11.0], "95": [8.0, 12.5]},
        }
    ]  # fmt: skip
    line = "1,2015-06-25,6,10.13,9.00,11.00,8.00,12.50\n"
    assert lines(found) == f"store_id,date,h,forecast,lo_80,hi_80,lo_95,hi_95\n{line}"
    assert lines(2 * found, has_header=False) == 2 * line
