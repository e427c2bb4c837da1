"""mlforecast with LightGBM, set up as a practitioner would who knows retail data.

The series are regular days, as its lags ask for: a closed day takes the sales of the last open
day of that weekday, and does not count in the fit. The target is log sales, scaled by store. The
plan, the calendar and the stores' attributes stand beside the lags. One booster forecasts day
after day, each forecast being a lag of later ones.

Tried on Rossmann's stores, and worse: zeros on closed days, a plain forward fill, closed days that
count, differences of a week in place of the scaler, more and fewer trees, and a booster for each
of the 42 days ahead, which is slow besides: its lags and weights are those of the cutoff, and not
of the weekday that is forecast.
"""

import warnings

import lightgbm
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean, SeasonalRollingMean
from mlforecast.target_transforms import LocalStandardScaler

from benchmarks.windows import Window
from sales_assets.forecasting.frames import CATEGORIES
from sales_assets.settings import Settings

LAGS = [7, 14, 21, 28, 35, 42, 56]
LAG_TRANSFORMS = {
    1: [RollingMean(7), RollingMean(28)],
    7: [RollingMean(28), SeasonalRollingMean(season_length=7, window_size=4)],
}
DATE_FEATURES = ["dayofweek", "day", "month", "week", "dayofyear"]
STATIC = ["store", "store_type", "assortment", "log_competition_distance"]
SERIES = ["unique_id", "ds"]


def forecast(window: Window, settings: Settings) -> np.ndarray:
    """Fit at the cutoff and forecast the plan.

    Args:
        window: What is known, and what is asked.
        settings: Threads and seed.
    """
    horizon = window.plan["date"].nunique()
    model = MLForecast(
        {"forecast": _booster(settings)},
        freq="D",
        lags=LAGS,
        lag_transforms=LAG_TRANSFORMS,
        date_features=DATE_FEATURES,
        target_transforms=[LocalStandardScaler()],
        num_threads=settings.threads,
    )
    with warnings.catch_warnings():
        # scikit-learn's, about names of columns that mlforecast passes as an array.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        # Stores without a known competitor, told anew for each day; LightGBM takes them as such.
        warnings.filterwarnings("ignore", message="Found null values in log_competition_distance")
        model.fit(
            series(window.known, window.stores),
            static_features=STATIC,
            weight_col="weight",
        )
        path = model.predict(horizon, X_df=plan_columns(window.plan))
    asked = plan_columns(window.plan)[SERIES].merge(path, "left", SERIES)
    # Of a store that has never sold it makes no series; the stores' typical day stands in.
    typical = asked.groupby("ds")["forecast"].transform("median")
    return np.exp(asked["forecast"].fillna(typical).to_numpy(dtype=np.float64))


def series(known: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """Return the stores that have sold as regular series of log sales with their features."""
    sold = known["is_open"] & (known["sales"] > 0)
    log_sales = np.log(known["sales"].where(sold))
    weekday = known["date"].dt.dayofweek
    by_store = known["store_id"]
    filled = log_sales.groupby([by_store, weekday]).ffill()
    filled = filled.groupby(by_store).ffill().groupby(by_store).bfill()
    attributes = known[["store_id"]].merge(stores, "left", "store_id").set_index(known.index)
    frame = plan_columns(known).assign(
        store=known["store_id"],
        **{
            name: pd.Categorical(attributes[name], categories=CATEGORIES[name]).codes
            for name in ("store_type", "assortment")
        },
        log_competition_distance=np.log(attributes["competition_distance_m"]),
        weight=sold.astype("float64"),
        y=filled,
    )
    return frame[frame["y"].notna()]


def plan_columns(days: pd.DataFrame) -> pd.DataFrame:
    """Return the plan in Nixtla's vocabulary, as numbers."""
    holiday = pd.Categorical(days["state_holiday"], categories=CATEGORIES["state_holiday"])
    return pd.DataFrame(
        {
            "unique_id": days["store_id"],
            "ds": days["date"],
            "is_open": days["is_open"].astype("int8"),
            "is_promo": days["is_promo"].astype("int8"),
            "state_holiday": holiday.codes,
            "is_school_holiday": days["is_school_holiday"].astype("int8"),
        }
    )


def _booster(settings: Settings) -> lightgbm.LGBMRegressor:
    return lightgbm.LGBMRegressor(
        n_estimators=500,
        learning_rate=0.05,
        num_leaves=31,
        min_child_samples=50,
        colsample_bytree=0.6,
        subsample=0.7,
        subsample_freq=1,
        random_state=settings.seed,
        n_jobs=settings.threads,
        deterministic=True,
        force_col_wise=True,
        verbosity=-1,
    )
