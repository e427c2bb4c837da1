"""A picture shows the same values in the report and in the Dagster UI."""

import json

import numpy as np
import pandas as pd
import pytest

from sales_assets.questions.figure import as_figure
from sales_assets.questions.interactive import as_plotly
from sales_assets.questions.picture import Panel, Picture, Series

NAMES = ["Monday", "Tuesday", "Wednesday"]
LIFT = Series("sales", NAMES, [10.0, -5.0, 2.5], [8.0, -7.0, 2.0], [12.0, -3.0, 3.0])
OTHER = Series("customers", NAMES, [1.0, 2.0, 3.0])
NUMBERED = Series("acf", [1, 2, 3], [0.5, 0.25, 0.125], [0.4, 0.2, 0.1], [0.6, 0.3, 0.15])


def picture(*series: Series, **panel: object) -> Picture:
    return Picture("A title", (Panel(series, "x, unit", "y, unit", **panel),))


def test_bars_are_as_high_in_both() -> None:
    shown = picture(LIFT, OTHER)
    bars = [bar.get_height() for bar in as_figure(shown).axes[0].patches]
    traces = as_plotly(shown)[0]["data"]
    assert bars == [*LIFT.y, *OTHER.y]
    assert [value for trace in traces for value in trace["y"]] == bars
    assert {trace["type"] for trace in traces} == {"bar"}


def test_bars_that_lie_are_as_long_in_both() -> None:
    shown = picture(OTHER, is_horizontal=True)
    assert [bar.get_width() for bar in as_figure(shown).axes[0].patches] == OTHER.y
    (trace,) = as_plotly(shown)[0]["data"]
    assert (trace["x"], trace["y"], trace["orientation"]) == (OTHER.y, NAMES, "h")


def test_stacked_bars_stand_on_one_another_in_both() -> None:
    shown = picture(OTHER, OTHER, is_stacked=True)
    bottoms = [bar.get_y() for bar in as_figure(shown).axes[0].patches]
    assert bottoms == [0, 0, 0, *OTHER.y]
    assert as_plotly(shown)[0]["layout"]["barmode"] == "stack"


@pytest.mark.parametrize("kind", ["bars", "dots"])
def test_whiskers_reach_from_lower_to_upper_bound_in_both(kind: str) -> None:
    shown = picture(LIFT, kind=kind)
    (lines,) = as_figure(shown).axes[0].collections
    ends = [(segment[0][1], segment[1][1]) for segment in lines.get_segments()]
    assert ends == list(zip(LIFT.lo or [], LIFT.hi or [], strict=True))
    (trace,) = as_plotly(shown)[0]["data"]
    error = trace["error_y"]
    assert np.add(trace["y"], error["array"]).tolist() == LIFT.hi
    assert np.subtract(trace["y"], error["arrayminus"]).tolist() == LIFT.lo


@pytest.mark.parametrize("kind", ["bars", "dots"])
@pytest.mark.parametrize("is_horizontal", [False, True])
def test_an_interval_of_three_stores_leaves_the_others_to_be_seen(
    kind: str, is_horizontal: bool
) -> None:
    few = Series("sales", NAMES, [10.0, -5.0, 2.5], [8.0, -90.0, 2.0], [12.0, 300.0, 3.0])
    shown = picture(few, kind=kind, is_horizontal=is_horizontal)
    axes = as_figure(shown).axes[0]
    plotted = as_plotly(shown)[0]["layout"]["xaxis" if is_horizontal else "yaxis"]
    # No further beyond the values than they are apart.
    assert plotted["range"] == [-20.0, 25.0]
    assert (axes.get_xlim() if is_horizontal else axes.get_ylim()) == (-20.0, 25.0)


@pytest.mark.parametrize("series", [LIFT, OTHER, Series("one", NAMES[:1], [4.0], [-50.0], [60.0])])
def test_what_can_be_seen_whole_is(series: Series) -> None:
    panel = Panel((series,), "x, unit", "y, unit", kind="dots")
    assert panel.seen is None
    assert "range" not in as_plotly(Picture("A title", (panel,)))[0]["layout"]["yaxis"]


def test_a_line_has_its_band_in_both() -> None:
    shown = picture(NUMBERED, kind="line")
    axes = as_figure(shown).axes[0]
    assert axes.lines[0].get_ydata().tolist() == NUMBERED.y
    band = axes.collections[0].get_paths()[0].vertices
    assert {0.4, 0.2, 0.1, 0.6, 0.3, 0.15} <= set(band[:, 1].round(6))
    low, high, line = as_plotly(shown)[0]["data"]
    assert (low["y"], high["y"], line["y"]) == (NUMBERED.lo, NUMBERED.hi, NUMBERED.y)
    assert high["fill"] == "tonexty"


def test_a_line_to_compare_with_and_marks_are_in_both() -> None:
    shown = picture(NUMBERED, kind="dots", line_at=0.0, marks=((2, "here"),))
    axes = as_figure(shown).axes[0]
    straight = {(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in axes.lines}
    assert ((0, 1), (0.0, 0.0)) in straight
    assert ((2, 2), (0, 1)) in straight
    assert "here" in {text.get_text() for text in axes.texts}
    layout = as_plotly(shown)[0]["layout"]
    assert {(shape["x0"], shape["y0"]) for shape in layout["shapes"]} == {(0, 0.0), (2, 0)}
    assert [note["text"] for note in layout["annotations"]] == ["here"]


def test_titles_and_units_are_in_both() -> None:
    shown = picture(LIFT)
    axes = as_figure(shown).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x, unit", "y, unit")
    layout = as_plotly(shown)[0]["layout"]
    assert layout["xaxis"]["title"]["text"] == "x, unit"
    assert layout["yaxis"]["title"]["text"] == "y, unit"


@pytest.mark.parametrize(("series", "has_legend"), [((LIFT,), False), ((LIFT, OTHER), True)])
def test_a_legend_is_for_several_series(series: tuple[Series, ...], has_legend: bool) -> None:
    shown = picture(*series)
    assert bool(as_figure(shown).legends) == has_legend
    assert as_plotly(shown)[0]["layout"]["showlegend"] == has_legend


def test_each_panel_is_drawn_in_both() -> None:
    panels = [Panel((LIFT, OTHER), "x", "y", title=title) for title in ("left", "right")]
    shown = Picture("Two", tuple(panels))
    assert [axes.get_title(loc="left") for axes in as_figure(shown).axes] == ["left", "right"]
    assert [plot["layout"]["title"]["text"] for plot in as_plotly(shown)] == ["left", "right"]


@pytest.mark.parametrize("missing", [np.nan, pd.NA, None, pd.NaT])
def test_what_is_missing_is_null_in_the_report(missing: object) -> None:
    values = [1.0, missing]
    (trace,) = as_plotly(picture(Series("sales", ["a", "b"], values)))[0]["data"]
    assert trace["y"] == [1.0, None]


def test_columns_and_dates_become_what_json_knows() -> None:
    rows = pd.DataFrame(
        {"date": pd.date_range("2015-06-19", periods=2), "sales": [1, 2]}, index=[7, 8]
    )
    shown = picture(Series("sales", rows["date"], rows["sales"]), kind="line")
    (trace,) = json.loads(json.dumps(as_plotly(shown), allow_nan=False))[0]["data"]
    assert (trace["x"], trace["y"]) == (["2015-06-19", "2015-06-20"], [1, 2])
    assert as_figure(shown).axes[0].lines


def test_a_series_that_lacks_a_name_leaves_its_place_empty() -> None:
    shown = picture(OTHER, Series("others", NAMES[1:], [5.0, 6.0]), kind="dots")
    axes = as_figure(shown).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == NAMES
    assert [round(place) for place in axes.lines[1].get_xdata()] == [1, 2]
