"""Columns of `features.training` and `features.future`, by the groups that studies leave out.

The plan ends `SALES_HORIZON` days after the cutoff, in training too (`sql/features/rows.sql`).
"""

FEATURES = {
    # Rows: what they are for, and what is to be learnt
    "is_training": "Whether models learn from the row; the rest are there to be forecast.",
    "features.training.log_sales": (
        "Natural log of the day's sales, EUR: what is to be forecast; empty if it sold nothing."
    ),
    "features.future.log_sales": "Always empty: sales of the day are not known yet.",
    # Calendar
    "day_of_month": "1 to 31.",
    "days_to_month_end": "Days until the last day of the month: 0 on it.",
    "day_of_year": "1 (1 January) to 365, in leap years 366.",
    "week_of_year": "ISO week of the year, 1 to 53.",
    "year_sin_1": "Sine of the day of the year as an angle, one turn in 365.25 days.",
    "year_cos_1": "Cosine of the day of the year as an angle, one turn in 365.25 days.",
    "year_sin_2": "Sine of the day of the year as an angle, two turns in 365.25 days.",
    "year_cos_2": "Cosine of the day of the year as an angle, two turns in 365.25 days.",
    # Plan around the day
    "days_since_open": "Days since the store was last open before the day, 15 if more or never.",
    "days_until_open": (
        "Days until the store is next open; 15 if more, or not by the plan's end, SALES_HORIZON"
        " days after the cutoff."
    ),
    "open_days_ahead": "Open days after the cutoff up to the day, itself included.",
    "open_days_week_before": "Open days among the 7 days before the day.",
    # Promotion
    "promo_day": (
        "Days since the present run of promotion days began: 0 on the first; empty without"
        " promotion."
    ),
    "promo_days_left": (
        "Days until the last of the present run of promotion days: 0 on it; empty without"
        " promotion, or if the run reaches the plan's end."
    ),
    "days_since_promo": (
        "Days since the last day of the previous run of promotion days, 30 if more or none."
    ),
    "days_until_promo": (
        "Days until the next run of promotion days begins; 30 if more, or none by the plan's end."
    ),
    "promo_days_week_before": "Days with promotion among the 7 days before the day.",
    "promo_days_14": "Days with promotion, also closed ones, in the 14 days up to the cutoff.",
    "promo_lift_182": (
        "Mean log sales with promotion less that without, all weekdays together, in the 182 days"
        " up to the cutoff; empty if one is missing."
    ),
    # Holidays
    "days_since_holiday": "Days since the last state holiday before the day, 30 if more or none.",
    "days_until_holiday": (
        "Days until the next state holiday after the day; 30 if more, or none by the plan's end."
    ),
    "school_holiday_day": (
        "Days since the present run of school holidays began: 0 on the first; empty outside them."
    ),
    "school_holiday_days_left": (
        "Days until the last of the present run of school holidays: 0 on it; empty outside them,"
        " or if the run reaches the plan's end."
    ),
    "days_since_school_holiday": (
        "Days since the last day of the previous run of school holidays, 30 if more or none."
    ),
    "days_until_school_holiday": (
        "Days until the next run of school holidays begins; 30 if more, or none by the plan's end."
    ),
    # Profiles
    "anchor": (
        "Mean log sales of the last 13 selling days of the same weekday and promotion by the"
        " cutoff. Without any, of all in the 56, 182 or 364 days up to it, or ever; empty if it"
        " never sold."
    ),
    "profile_last": (
        "Log sales of the last selling day of the same weekday and promotion by the cutoff, less"
        " the anchor; empty if none."
    ),
    "profile_median_4": (
        "Median log sales of the last 4 selling days of the same weekday and promotion by the"
        " cutoff, less the anchor; empty if none."
    ),
    "profile_median_8": (
        "Median log sales of the last 8 selling days of the same weekday and promotion by the"
        " cutoff, less the anchor; empty if none."
    ),
    "profile_median_26": (
        "Median log sales of the last 26 selling days of the same weekday and promotion by the"
        " cutoff, less the anchor; empty if none."
    ),
    "profile_mean_52": (
        "Mean log sales of the last 52 selling days of the same weekday and promotion by the"
        " cutoff, less the anchor; empty if none."
    ),
    "profile_deviation": (
        "Standard deviation of log sales of the last 26 selling days of the same weekday and"
        " promotion by the cutoff; empty if none."
    ),
    "profile_occurrences": (
        "Selling days of the same weekday and promotion by the cutoff, 52 if more; empty if none."
    ),
    "profile_age_days": (
        "Days from the last selling day of the same weekday and promotion to the cutoff, 365 if"
        " more or none."
    ),
    # Levels
    "level_14": (
        "Mean log sales of the selling days in the 14 days up to the cutoff, less the anchor;"
        " empty if none."
    ),
    "level_28": (
        "Mean log sales of the selling days in the 28 days up to the cutoff, less the anchor;"
        " empty if none."
    ),
    "level_56": (
        "Mean log sales of the selling days in the 56 days up to the cutoff, less the anchor;"
        " empty if none."
    ),
    "level_98": (
        "Mean log sales of the selling days in the 98 days up to the cutoff, less the anchor;"
        " empty if none."
    ),
    "level_182": (
        "Mean log sales of the selling days in the 182 days up to the cutoff, less the anchor;"
        " empty if none."
    ),
    "level_364": (
        "Mean log sales of the selling days in the 364 days up to the cutoff, less the anchor;"
        " empty if none."
    ),
    "growth_364": (
        "Mean log sales of the 364 days up to the cutoff, less that of the 364 days before these;"
        " empty if one of them has no sales."
    ),
    "growth_28": (
        "Mean log sales of the 28 days up to the cutoff, less that of the 28 days up to 364 days"
        " before it; empty if one of them has no sales."
    ),
    "growth_56": (
        "Mean log sales of the 56 days up to the cutoff, less that of the 56 days up to 364 days"
        " before it; empty if one of them has no sales."
    ),
    "volatility_98": (
        "Mean distance, either way, of log sales in the 98 days up to the cutoff from the mean of"
        " the 13 selling days of the same weekday and promotion before each; empty if none."
    ),
    # Surprises: above zero where more was sold than before
    "surprise_13_last_7": (
        "Mean, in the 7 days up to the cutoff, of log sales less the mean of the 13 selling days"
        " of the same weekday and promotion before each; empty if none."
    ),
    "surprise_13_last_14": (
        "Mean, in the 14 days up to the cutoff, of log sales less the mean of the 13 selling days"
        " of the same weekday and promotion before each; empty if none."
    ),
    "surprise_13_last_28": (
        "Mean, in the 28 days up to the cutoff, of log sales less the mean of the 13 selling days"
        " of the same weekday and promotion before each; empty if none."
    ),
    "surprise_26_last_14": (
        "Mean, in the 14 days up to the cutoff, of log sales less the mean of the 26 selling days"
        " of the same weekday and promotion before each; empty if none."
    ),
    "surprise_26_last_28": (
        "Mean, in the 28 days up to the cutoff, of log sales less the mean of the 26 selling days"
        " of the same weekday and promotion before each; empty if none."
    ),
    "surprise_26_last_56": (
        "Mean, in the 56 days up to the cutoff, of log sales less the mean of the 26 selling days"
        " of the same weekday and promotion before each; empty if none."
    ),
    # Customers and basket: not relative to the anchor; empty, too, where customers are not told
    "profile_customers": (
        "Mean log customers of the last 13 selling days of the same weekday and promotion by the"
        " cutoff; empty if none."
    ),
    "customers_28": (
        "Mean log customers of the selling days in the 28 days up to the cutoff; empty if none."
    ),
    "customers_trend": (
        "Mean log customers of the 28 days up to the cutoff, less that of the 182 days up to it;"
        " empty if the 28 have none."
    ),
    "basket_28": (
        "Mean log of sales per customer, EUR, of the selling days in the 28 days up to the"
        " cutoff; empty if none."
    ),
    "basket_trend": (
        "Mean log of sales per customer of the 28 days up to the cutoff, less that of the 182"
        " days up to it; empty if the 28 have none."
    ),
    # Season a year ago: above zero where it sold more than the weeks before the cutoff of then
    "season_day": (
        "Log sales 364 days before the day, less the mean of the 28 days up to 364 days before"
        " the cutoff; empty if one of them has no sales."
    ),
    "season_7": (
        "Mean log sales from 367 to 361 days before the day, less that of the 28 days up to 364"
        " days before the cutoff; empty if one of them has no sales."
    ),
    "season_14": (
        "Mean log sales from 371 to 358 days before the day, less that of the 28 days up to 364"
        " days before the cutoff; empty if one of them has no sales."
    ),
    "season_28": (
        "Mean log sales from 378 to 351 days before the day, less that of the 56 days up to 364"
        " days before the cutoff; empty if one of them has no sales."
    ),
    # The same day a year ago: against days of the same weekday and promotion as that day's
    "deviation_same_weekday": (
        "Log sales 364 days before the day, less the mean of other days of that weekday and"
        " promotion within 56 days of it; empty if one is missing."
    ),
    "deviation_same_date": (
        "Log sales on the same date a year before, less the mean of other days of that weekday"
        " and promotion within 56 days of it; empty if one is missing."
    ),
    "deviation_same_easter_day": (
        "Log sales a year before on the day as far from Easter Sunday, less the mean of other"
        " days of that weekday and promotion within 56 days of it. Empty if one is missing, or"
        " over 63 days from Easter."
    ),
    # Competition and Promo2
    "log_competition_distance": (
        "Natural log of 1 + metres to the nearest competitor; empty if there is none by the"
        " plan's end."
    ),
    "competition_age_months": (
        "Months since the nearest competitor opened, 60 if more, below zero before; empty if"
        " unknown or after the plan's end."
    ),
    "promo2_age_weeks": (
        "Weeks since the store joined Promo2, below zero before; empty if it is not known to join"
        " by the plan's end."
    ),
    "is_promo2_month": (
        "Whether the store has joined Promo2 by the day, and it starts anew in that month."
    ),
}
