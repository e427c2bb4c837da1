"""The comparison with other methods: the same rows for all, and honest ones."""

import json
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from benchmarks import features as feature_benchmark
from benchmarks import insights, lstm_latency, new_stores, windows
from benchmarks.accuracy import compare, run_apart, run_method
from benchmarks.methods import METHODS, available
from benchmarks.windows import DAY, Data
from sales_assets import warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting import features, metrics
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS
from sales_assets.questions.themes import QUESTIONS

needs_mlforecast = pytest.mark.skipif(
    "mlforecast" not in available(),
    reason="needs mlforecast: pip install --editable '.[bench]'",
)
OTHERS = [
    "original",
    "seasonal_naive_7",
    "seasonal_naive_14",
    pytest.param("mlforecast", marks=needs_mlforecast),
]


@pytest.fixture(scope="module")
def data(source, settings, cutoffs, tmp_path_factory) -> Data:
    with windows.from_source(source, settings, tmp_path_factory.mktemp("scratch")) as con:
        return windows.read(con, cutoffs, settings)


@pytest.fixture(scope="module")
def report(data, cutoffs, settings):
    return compare(data, cutoffs, available(), settings, run=run_method)


def forecasts(name, data, cutoff, settings):
    return METHODS[name].load()(data.window(cutoff, settings.horizon), settings)


def with_sales(data, are_changed):
    """The same chain with other sales on the given days: fewer, more, and none on some."""
    factor = np.random.default_rng(5).choice([0, 0.3, 3.0], len(data.history))
    sales = data.history["sales"].where(~are_changed, data.history["sales"] * factor)
    return Data(data.history.assign(sales=sales), data.stores)


def test_every_model_and_every_other_method_is_in_the_report(report):
    names = [method["name"] for method in json.loads(json.dumps(report))["methods"]]

    assert set(names) >= {
        *MEMBERS, ENSEMBLE, "original", "original_random_split", "seasonal_naive_7",
        "seasonal_naive_14",
    }  # fmt: skip
    assert len(names) == len(set(names))


@needs_mlforecast
def test_mlforecast_is_in_the_report_where_it_is_installed(report):
    assert "mlforecast" in {method["name"] for method in report["methods"]}
    assert "mlforecast" in report["versions"]


def test_all_are_judged_on_the_selling_days_of_the_windows_but_the_random_split(
    report, data, cutoffs
):
    history = data.history
    selling = sum(
        (
            history["is_open"]
            & (history["sales"] > 0)
            & (history["date"] > pd.Timestamp(cutoff))
            & (history["date"] <= pd.Timestamp(cutoff) + pd.Timedelta(days=42))
        ).sum()
        for cutoff in cutoffs
    )
    days = {method["name"]: method["days"] for method in report["methods"]}

    assert 0 < days.pop("original_random_split") < 0.3 * selling
    assert set(days.values()) == {selling}
    assert [m["name"] for m in report["methods"] if not m["is_honest"]] == ["original_random_split"]


def test_scores_are_those_of_the_forecasts(report, data, cutoffs, settings):
    (naive,) = [m for m in report["methods"] if m["name"] == "seasonal_naive_14"]
    (ensemble,) = [m for m in report["methods"] if m["name"] == ENSEMBLE]
    window = data.window(cutoffs[-1], settings.horizon)
    days = data.judged(cutoffs[-1], settings.horizon).merge(
        window.plan[DAY].assign(
            forecast=forecasts("seasonal_naive_14", data, cutoffs[-1], settings)
        )
    )

    expected = metrics.rmspe(days["sales"].to_numpy(), days["forecast"].to_numpy())
    assert naive["rmspe_by_cutoff"][str(cutoffs[-1])] == pytest.approx(expected)
    assert naive["rmspe"] == pytest.approx(np.mean(list(naive["rmspe_by_cutoff"].values())))
    assert naive["ratio"] == pytest.approx(naive["rmspe"] / ensemble["rmspe"])
    assert ensemble["ratio"] == 1


def test_the_members_forecast_what_the_backtest_has(report, backtest):
    """The platform's rows are those of `models.backtest`, scores and all."""
    for method in report["methods"]:
        if method["name"] in (*MEMBERS, ENSEMBLE):
            rows = backtest[backtest["model"] == method["name"]]
            # The label is kept in single precision.
            assert method["wape"] == pytest.approx(
                metrics.wape(rows["sales"].to_numpy(), rows["forecast"].to_numpy()), rel=1e-4
            )


@pytest.mark.parametrize("name", OTHERS)
def test_later_sales_change_no_forecast_and_earlier_ones_do(name, data, cutoffs, settings):
    cutoff = cutoffs[0]
    dates = data.history["date"]
    later = dates > pd.Timestamp(cutoff)
    month_before = dates.between(*pd.to_datetime([cutoff - timedelta(days=28), cutoff]))
    told = forecasts(name, data, cutoff, settings)

    assert np.isfinite(told).all()
    np.testing.assert_array_equal(forecasts(name, with_sales(data, later), cutoff, settings), told)
    assert (forecasts(name, with_sales(data, month_before), cutoff, settings) != told).any()


@pytest.mark.parametrize("name", OTHERS)
def test_a_store_that_has_never_sold_is_forecast(name, data, cutoffs, settings):
    newcomer = data.history["store_id"].min()
    sales = data.history["sales"].where(data.history["store_id"] != newcomer, 0)
    chain = Data(data.history.assign(sales=sales), data.stores)
    told = forecasts(name, chain, cutoffs[0], settings)

    of_newcomer = data.window(cutoffs[0], settings.horizon).plan["store_id"] == newcomer
    assert of_newcomer.sum() == settings.horizon
    assert np.isfinite(told[of_newcomer]).all()


def test_the_seasonal_naive_repeats_the_last_selling_day_of_the_season(data, cutoffs, settings):
    cutoff = cutoffs[0]
    told = data.window(cutoff, settings.horizon).plan.assign(
        forecast=forecasts("seasonal_naive_14", data, cutoff, settings)
    )
    sold = data.history[data.history["sales"] > 0].set_index(DAY)["sales"]
    checked = 0
    for day in told[told["is_open"]].iloc[::40].itertuples():
        before = day.date
        while before > pd.Timestamp(cutoff) or (day.store_id, before) not in sold.index:
            before -= pd.Timedelta(days=14)
            if before < data.history["date"].min():
                break
        else:
            assert day.forecast == sold[day.store_id, before]
            checked += 1
    assert checked > 5


def test_a_method_that_misses_a_row_is_not_judged(data, cutoffs, settings):
    def forgetful(name, *arguments):
        outcome = run_method(name, *arguments)
        sold = data.judged(cutoffs[0], settings.horizon).iloc[0]
        missed = (outcome.forecasts[[*DAY, "cutoff"]] == sold[[*DAY, "cutoff"]]).all(axis=1)
        return replace(outcome, forecasts=outcome.forecasts[~missed])

    with pytest.raises(AssertionError, match="seasonal_naive_7 is judged on the rows of all"):
        compare(
            data,
            cutoffs,
            ["seasonal_naive_7"],
            settings,
            run=forgetful,
        )


def test_a_method_in_a_process_of_its_own_forecasts_the_same(data, cutoffs, settings, tmp_path):
    data.save(tmp_path)
    here = run_method("original", tmp_path, cutoffs[-1:], settings)
    apart = run_apart("original", tmp_path, cutoffs[-1:], settings)

    pd.testing.assert_frame_equal(apart.forecasts, here.forecasts)
    # Its peak is its own, not that of the process that started it.
    assert 0 < apart.memory_mb < 500


def test_a_cutoff_that_cannot_be_judged_is_told(con, settings):
    last_day = features.last_sales_day(con)
    with pytest.raises(SalesError, match=f"{last_day} does not"):
        windows.read(con, [last_day], settings)


def test_latency_is_that_of_the_homes_newest_lstm_asked_for_one_store(home, settings):
    of_home = settings.model_copy(update={"home": home})
    with warehouse.connect_snapshot(of_home) as con:
        published = con.sql(
            "select date, forecast from forecasts.latest"
            " where model = 'lstm' and store_id = 1 and forecast > 0 order by date"
        ).df()
    member, asked = lstm_latency._newest(of_home)
    one = lstm_latency._of_one_store(asked)
    told = pd.Series(np.exp(member.predict(one)), index=pd.DatetimeIndex(one.rows["date"]))

    assert len(one.rows) == 42
    assert set(one.history["store_id"]) == {1}
    np.testing.assert_allclose(told[published["date"]], published["forecast"], rtol=1e-6)


def test_the_latency_of_a_home_without_an_lstm_cannot_be_told(settings, tmp_path):
    with pytest.raises(SalesError, match="There is no version of lstm in"):
        lstm_latency._newest(settings.model_copy(update={"home": tmp_path}))


def test_the_insights_are_timed_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["insights", "--stores", "8", "--days", "400"])
    insights.main()
    told = capsys.readouterr().out
    for question in QUESTIONS:
        assert f"  {question.name} " in told
    assert "peak of memory" in told


def test_features_are_the_same_in_pandas_and_in_mlforecast(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("SALES_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["features", "--stores", "6", "--days", "450"])
    feature_benchmark.main()
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[3:]]
    assert rows[:3] == ["profiles, pandas", "seasons, pandas", "levels, pandas"]
    assert len(rows) == 3 + ("mlforecast" in available())


@pytest.mark.parametrize("column", ["median_8", "prior_mean_13"])
def test_a_feature_that_differs_stops_the_comparison(con, column):
    made = con.execute("from days order by store_id, date").df()
    told = feature_benchmark.profiles(made)
    with pytest.raises(SystemExit, match=column):
        feature_benchmark.same(told, told.assign(**{column: told[column] * 1.01}), "profiles")


@pytest.fixture(scope="module")
def newcomers(source, settings, cutoffs, tmp_path_factory):
    """What quick members say where some stores are new; then with a new one's past tripled."""
    told = []
    for factor, asked in ((1, cutoffs), (3, cutoffs[:1])):
        with windows.from_source(source, settings, tmp_path_factory.mktemp("scratch")) as con:
            con.execute(
                "update raw.sales set sales = $factor * sales where date <= $first"
                " and store_id in (select store_id from raw.sales group by 1 order by 1 limit 1)",
                {"factor": factor, "first": cutoffs[0]},
            )
            told.append(new_stores.forecast(con, asked, ["baseline", "statistical"], settings))
    return told


def test_each_window_has_other_new_stores_and_all_their_selling_days(newcomers, data, cutoffs):
    told, _ = newcomers
    new = told[told["is_new"]]
    by_window = new.groupby("cutoff")["store_id"].agg(set)

    assert len(by_window) == len(cutoffs) == 2
    assert not set.intersection(*by_window)
    assert new["anchor"].isna().all()
    assert told.loc[~told["is_new"], "anchor"].notna().all()
    for cutoff in cutoffs:
        sold = data.judged(cutoff, 42)[[*DAY, "sales"]]
        same = told[(told["cutoff"] == pd.Timestamp(cutoff)) & (told["model"] == "baseline")]
        pd.testing.assert_frame_equal(
            same[[*DAY, "sales"]].sort_values(DAY).reset_index(drop=True),
            sold.sort_values(DAY).reset_index(drop=True),
            check_dtype=False,
        )


def test_what_a_new_store_sold_before_is_shown_to_no_member(newcomers, cutoffs):
    all_windows, tripled = newcomers
    told = all_windows[all_windows["cutoff"] == pd.Timestamp(cutoffs[0])].reset_index(drop=True)

    assert told["store_id"].min() in set(told.loc[told["is_new"], "store_id"])
    pd.testing.assert_frame_equal(told, tripled)


def test_new_stores_are_scored_beside_the_others(newcomers):
    told, _ = newcomers
    scores = new_stores.judge(told).set_index(["model", "is_new"])
    baseline = told[(told["model"] == "baseline") & told["is_new"]]

    assert set(scores.index) == {
        (model, is_new)
        for model in ("baseline", "statistical", ENSEMBLE)
        for is_new in (False, True)
    }
    assert scores.loc[("baseline", True), "rmspe"] == pytest.approx(
        metrics.rmspe(baseline["sales"].to_numpy(), baseline["forecast"].to_numpy())
    )
    assert (scores["days"].xs(True, level=1) == len(baseline)).all()
    wide = scores["width_80"].unstack()
    assert (wide[True] > 1.5 * wide[False]).all()
