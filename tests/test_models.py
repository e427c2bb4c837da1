"""What the assets of the models refuse to record."""

import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.errors import SalesError
from sales_assets.models import _overall_score
from sales_assets.settings import Settings


def test_scores_of_another_backtest_are_recorded_with_no_version() -> None:
    days = pd.DataFrame({"model": "lightgbm", "sales": [100.0, 200.0], "forecast": [110.0, 220.0]})
    scores = pd.DataFrame(
        {
            "model": ["lightgbm"],
            "cutoff": pd.NaT,
            "horizon_week": pd.NA,
            "store_type": pd.NA,
            "rmspe": [0.1],
        }
    )
    with warehouse.in_memory(Settings()) as con:
        warehouse.replace_table(con, "models.scores", scores)
        assert _overall_score(con, "lightgbm", days) == pytest.approx({"rmspe": 0.1})
        with pytest.raises(SalesError, match="materialise models/scores first"):
            _overall_score(con, "lightgbm", days.assign(forecast=120.0))
