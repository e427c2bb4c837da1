"""Which idea each feature belongs to: the groups that studies leave out or permute together."""

from collections.abc import Iterable

GROUPS: dict[str, tuple[str, ...]] = {
    "calendar": (
        "weekday", "day_of_month", "days_to_month_end", "day_of_year", "week_of_year",
        "year_sin_1", "year_cos_1", "year_sin_2", "year_cos_2",
    ),
    "plan around the day": (
        "h", "days_since_open", "days_until_open", "open_days_ahead", "open_days_week_before",
    ),
    "promotion": (
        "is_promo", "promo_day", "promo_days_left", "days_since_promo", "days_until_promo",
        "promo_days_week_before", "promo_days_14", "promo_lift_182",
    ),
    "holidays": (
        "state_holiday", "is_school_holiday", "days_since_holiday", "days_until_holiday",
        "school_holiday_day", "school_holiday_days_left", "days_since_school_holiday",
        "days_until_school_holiday",
    ),
    "profiles": (
        "anchor", "profile_last", "profile_median_4", "profile_median_8", "profile_median_26",
        "profile_mean_52", "profile_deviation", "profile_occurrences", "profile_age_days",
    ),
    "levels": (
        "level_14", "level_28", "level_56", "level_98", "level_182", "level_364", "growth_364",
        "growth_28", "growth_56", "volatility_98",
    ),
    "surprises": (
        "surprise_13_last_7", "surprise_13_last_14", "surprise_13_last_28", "surprise_26_last_14",
        "surprise_26_last_28", "surprise_26_last_56",
    ),
    "customers and basket": (
        "profile_customers", "customers_28", "customers_trend", "basket_28", "basket_trend",
    ),
    "season a year ago": ("season_day", "season_7", "season_14", "season_28"),
    "the same day a year ago": (
        "deviation_same_weekday",
        "deviation_same_date",
        "deviation_same_easter_day",
    ),
    "competition and promo2": (
        "log_competition_distance", "competition_age_months", "promo2_age_weeks",
        "is_promo2_month",
    ),
    "store": ("store_id", "store_type", "assortment"),
}  # fmt: skip

GROUP_OF = {feature: group for group, features in GROUPS.items() for feature in features}
# What a feature added later belongs to until someone says so; a test asks for that.
UNGROUPED = "other"


def grouped(features: Iterable[str]) -> dict[str, list[str]]:
    """Return the given features by group, in the order of the groups."""
    found: dict[str, list[str]] = {group: [] for group in (*GROUPS, UNGROUPED)}
    for feature in features:
        found[GROUP_OF.get(feature, UNGROUPED)].append(feature)
    return {group: names for group, names in found.items() if names}
