"""Columns of `insights.*`, by question."""

LOWER = "Lower bound of the 95 % interval; empty where it would rest on too little."
UPPER = "Upper bound of the 95 % interval; empty where it would rest on too little."
BOUNDED = ("effect", "sales", "customers", "customer", "basket", "without_promo", "lift")

INSIGHTS = {
    # What several insights tell
    "stores": "Stores that the row rests on.",
    "days": "Store days that the row rests on.",
    "open_days": "Store days with sales that the row rests on.",
    "mean_sales": "Mean sales of a selling day, EUR.",
    "basket": "Sales a customer, EUR: sum over sum; empty if customers were not counted.",
    "sales_effect": (
        "By which share sales are above the stores' usual days of that weekday and promotion."
    ),
    "customers_effect": "As sales_effect, of customers; empty if they were not counted.",
    **{f"{effect}_lo_95": LOWER for effect in BOUNDED},
    **{f"{effect}_hi_95": UPPER for effect in BOUNDED},
    # All answers
    "insights.answers.place": "Place of the question in the report, counting from 1.",
    "theme": "Part of the report that the question is in.",
    "insights.answers.name": "Name of the question, and of its table in insights.",
    "question": "The question in words.",
    "answer": "The answer in words, or why there is none.",
    "is_answered": "Whether the data could give an answer.",
    "caveats": "What the numbers do not say.",
    "one_row_is": "What one row of the question's table is.",
    # Usual days, which several questions are asked of
    "is_usual": (
        "Whether none of the store's state holidays is within a week, in neither December nor "
        "1 to 7 January."
    ),
    "insights.deviations.log_sales": "Natural log of sales in EUR.",
    "log_customers": "Natural log of customers; empty if they were not counted.",
    "usual_log_sales": (
        "Mean log_sales of the store's other usual days of that weekday and promotion, within 13 "
        "weeks either way. Empty if there are none."
    ),
    "usual_log_customers": "The same of log_customers.",
    "sales_deviation": "log_sales less usual_log_sales; empty if that is.",
    "customers_deviation": "log_customers less usual_log_customers; empty if either is.",
    "sales_residual": (
        "log_sales less its mean of all the store's selling days of that weekday and promotion."
    ),
    "customers_residual": "The same of log_customers; empty if that is.",
    # Levels of stores, which they are compared by
    "insights.store_levels.measure": "sales, customers or basket (sales a customer).",
    "insights.store_levels.level": (
        "Mean of a selling day: EUR, customers, or EUR a customer (sum over sum)."
    ),
    "log_level": (
        "Mean of its log less that of all stores on the same dates, on which at least half of "
        "all stores sold. Empty if there are none."
    ),
    # What do the data hold?
    "table_name": "The table that is told of.",
    "insights.data_overview.kind": (
        "rows (how many there are of a kind), gap, missing, repair or oddity."
    ),
    "fact": "What is told of the table's rows.",
    "insights.data_overview.rows": "Rows of which it holds.",
    "insights.data_overview.share": "These as a share of the table's rows; empty of refused rows.",
    "insights.data_overview.stores": "Stores with such rows; empty of refused rows.",
    "insights.data_overview.first_day": (
        "First day of such rows; empty if there are none or the table's rows are no days."
    ),
    "insights.data_overview.last_day": (
        "Last day of such rows; empty if there are none or the table's rows are no days."
    ),
    # Which days were out of the ordinary, and why?
    "usual_sales": "Median sales of the store's selling days of that weekday and promotion, EUR.",
    "insights.outliers.deviation": "By which share sales are above usual_sales.",
    "insights.outliers.reason": (
        "The first of the known reasons that fits; unexplained: none does."
    ),
    "share_of_other_days": (
        "Share of the days that are not marked of which it is the first reason that fits."
    ),
    "selling_days": "Selling days of all stores, marked or not; the same in all rows.",
    # Are promotions spread evenly?
    "insights.promo_distribution.slice": (
        "By what days are told apart: weekday, month, year, store_type, assortment, store; "
        "all: not at all."
    ),
    "insights.promo_distribution.value": (
        "Which weekday (1 is Monday), month (01 to 12), year, type, assortment or store; all: all."
    ),
    "open_store_days": "Store days with sales in the history.",
    "insights.promo_distribution.promo_days": (
        "Dates in the history on which any of these stores sold in a promotion."
    ),
    "split_days": (
        "Dates in the history on which some stores of the chain sold in a promotion and others "
        "without."
    ),
    "promo_share": "Share of the open store days in the history that have a promotion.",
    "planned_share": (
        "Share of the plan's open store days that have a promotion; empty if it has none of them."
    ),
    "cramers_v": (
        "How far promotions depend on the slice, from 0 (not at all) to 1 (wholly): Cramér's V. "
        "Empty of all, and if every day or none has a promotion."
    ),
    "insights.promo_distribution.verdict": (
        "By cramers_v: even, uneven from 0.1 on, very uneven from 0.3 on; empty if that is."
    ),
    # Is the coming plan like the history?
    "covariate": "What is compared: a trait of store days, such as weekday or is_promo.",
    "insights.plan_drift.level": (
        "The value that the shares are of: yes, or the one whose share differs most."
    ),
    "history_share": (
        "Its share of the history's open store days; of all of them for is_open and state_holiday."
    ),
    "same_weeks_share": (
        "The same of those weeks in former years, a multiple of 52 weeks before; empty if the "
        "history has none."
    ),
    "plan_share": "The same of the plan.",
    "psi": "How far the plan is from the history: population stability index over all values.",
    "distance": (
        "Share of the plan's store days that would have to change their value to be like the "
        "history."
    ),
    "stretches": (
        "Stretches of the history as long as the plan, a week apart; empty if it is shorter."
    ),
    "stretches_as_far": (
        "Share of these whose index against the whole history is at least psi; empty if there are "
        "none."
    ),
    "insights.plan_drift.verdict": "By psi: alike, moved from 0.1 on, different from 0.25 on.",
    "psi_same_weeks": (
        "The index of the plan against those weeks in former years; empty if the history has none."
    ),
    "verdict_same_weeks": "The same verdict by psi_same_weeks; empty if that is.",
    "derived_share": (
        "Share of the plan's store days that no delivered plan has; the same in all rows."
    ),
    # How much more do stores sell with a promotion?
    "insights.promo_effect.slice": "Of what: all, a weekday, a store_type or an assortment.",
    "insights.promo_effect.value": "Which weekday (1 is Monday), type or assortment; all: all.",
    "insights.promo_effect.weekday": "1 (Monday) to 7 (Sunday); empty if the slice is another.",
    "sales_lift": (
        "By which share a store sells more with a promotion than without on the same weekday, "
        "mean of stores."
    ),
    "counted_stores": "Those of the stores in which customers were counted on such days.",
    "customer_lift": "As sales_lift, of customers; empty if they were not counted.",
    "basket_lift": "As sales_lift, of sales a customer; empty if customers were not counted.",
    "customer_share": (
        "Share of customer_lift in both lifts, in logs; below 0 or above 1 if one of them is a "
        "fall. Empty if they are."
    ),
    # In which stores does a promotion pay most?
    "rank": "Place of the store by gain_eur; 1 gains most.",
    "rank_lo_95": "Best place within the 95 % interval.",
    "rank_hi_95": "Worst place within the 95 % interval.",
    "insights.promo_targeting.promo_days": (
        "The store's selling days in promotions, on weekdays on which it sold without one too."
    ),
    "days_of_promo_week": "Median of the store's selling days in promotions in a week with any.",
    "plain_sales": (
        "Mean sales of a day without promotion, EUR; mean of the weekdays that have promotions."
    ),
    "gain_eur": (
        "What a promotion adds to the sales of a day, EUR: lift times plain_sales, which are drawn "
        "to the mean of stores too."
    ),
    "gain_lo_95": "Lower bound of its 95 % interval, EUR.",
    "gain_hi_95": "Upper bound of its 95 % interval, EUR.",
    "chance_of_top_tenth": (
        "Chance, from 0 to 1, that the store is in the tenth of stores that gain most EUR."
    ),
    "measured_lift": (
        "By which share it sells more with a promotion than without on the same weekday, "
        "what moved all stores on a day being taken off."
    ),
    "lift": "measured_lift, drawn to the mean of stores the more, the less is known of the store.",
    "lift_rank": "Place of the store by lift; 1 is the largest.",
    "chance_of_top_tenth_lift": (
        "Chance, from 0 to 1, that the store is in the tenth of stores with the largest lifts."
    ),
    "moved_week_eur": (
        "What a promotion week adds more in a store of the best tenth by gain_eur than in one of "
        "the last, EUR; the same in all rows."
    ),
    "moved_week_lo_95": "Lower bound of its 95 % interval, EUR.",
    "moved_week_hi_95": "Upper bound of its 95 % interval, EUR.",
    # What does Promo2 bring?
    "comparison": (
        "starts anew (months of a round against others), joins or weeks from joining (against "
        "before), takes part (levels)."
    ),
    "insights.promo2_effect.value": (
        "Months of the round, or all rounds; half a year; first of eight weeks from joining; or "
        "level."
    ),
    "insights.promo2_effect.stores": "Stores in Promo2 that the row rests on.",
    "control_stores": "Stores without Promo2 that they are compared with.",
    "insights.promo2_effect.sales_effect": (
        "By which share sales rise against other months, or before joining, beyond control_stores. "
        "takes part: by which they are above those of the same type and assortment."
    ),
    "insights.promo2_effect.customers_effect": (
        "As sales_effect, of customers; empty if they were not counted, and of takes part."
    ),
    # On which weekdays do people buy?
    "insights.weekday_pattern.mean_sales": (
        "Mean sales of a selling day, EUR, in which each store counts once."
    ),
    "insights.weekday_pattern.sales_effect": (
        "By which share sales are above the same store's mean weekday, Monday to Saturday."
    ),
    "without_promo_effect": "As sales_effect, of days without promotion; empty if there are none.",
    "insights.weekday_pattern.basket_effect": (
        "As sales_effect, of sales a customer; empty if customers were not counted."
    ),
    # What do holidays do to the days around them?
    "insights.holiday_effect.kind": "christmas, easter, or public: all others but New Year's Day.",
    "insights.holiday_effect.part": (
        "before, on the holiday, between (no holiday, but between two) or after."
    ),
    "insights.holiday_effect.day": (
        "Days to the first of holidays that lie together (below 0) or since the last (above 0); "
        "0: from first to last."
    ),
    "insights.holiday_effect.occasions": (
        "Different dates among the days; of Christmas and Easter, different years."
    ),
    # Which seasons, months and days of the month sell most?
    "insights.season_effect.slice": (
        "Christmas season (27 November to 24 December), Easter season (14 days to Easter Sunday), "
        "month, ISO week, day of the month or around pay-day."
    ),
    "insights.season_effect.value": (
        "Year of the season, or which month, week or day. Around pay-day 0 is a month's last day, "
        "-1 the one before, 1 the first."
    ),
    "insights.season_effect.occasions": (
        "Different dates among the days; of months and weeks, those of each year; of a season, 1."
    ),
    "insights.season_effect.sales_effect": (
        "By which share sales are above those of that weekday and promotion: of the store's whole "
        "year for months and weeks, else of its usual days."
    ),
    # What happens beside a closure?
    "closure": (
        "How long the store was shut: one to three days, four to six days, or a week or more."
    ),
    "insights.opening_pattern.day": (
        "Selling days from the closure: -1 is the last before it, 1 the first after."
    ),
    "insights.opening_pattern.occasions": "Different dates among the days.",
    # Which stores open on Sundays?
    "stores_are": "open on Sundays (they sell on more than half of them) or closed on Sundays.",
    "week_share": (
        "The weekday's share of a week's sales, mean of stores; promotion days are left out."
    ),
    "insights.sunday_stores.sales_effect": (
        "By which share sales are above the same store's Tuesdays to Fridays; promotion days are "
        "left out."
    ),
    # Do school holidays change what people buy?
    "insights.school_holiday_effect.slice": "By what days are told apart: all, weekday or season.",
    "insights.school_holiday_effect.value": (
        "Which weekday or season (winter: December to February, and so on); all: all."
    ),
    "insights.school_holiday_effect.occasions": "Different weeks among the days.",
    "insights.school_holiday_effect.sales_effect": (
        "By which share sales, against usual days, are above those of stores of the same type "
        "without school holidays on the same date."
    ),
    # Do sales follow customers?
    "insights.sales_customers.slice": "Of what: the chain, a store type or a store.",
    "insights.sales_customers.value": "Which type or store; all: the chain.",
    "pearson": (
        "Correlation of sales and customers over store days (Pearson); empty if either is constant."
    ),
    "pearson_lo_95": (
        "Lower bound of its 95 % interval over stores; empty with fewer than three stores."
    ),
    "pearson_hi_95": (
        "Upper bound of its 95 % interval over stores; empty with fewer than three stores."
    ),
    "spearman": "The same of their ranks (Spearman).",
    "mean_customers": "Mean customers of a store day.",
    "basket_p10": "Sales a customer that one in ten store days stay below, EUR.",
    "basket_p90": "Sales a customer that nine in ten store days stay below, EUR.",
    # Do stores of other assortments or types sell more?
    "insights.assortment_effect.store_type": "Kind of store, a to d; all: all types together.",
    "insights.store_type_effect.assortment": (
        "basic, extra or extended; all: all assortments together."
    ),
    **dict.fromkeys(
        ("insights.assortment_effect.measure", "insights.store_type_effect.measure"),
        "sales, customers or basket (sales a customer).",
    ),
    "mean_level": (
        "Mean of the stores' means of a selling day: EUR, customers, or EUR a customer."
    ),
    "insights.assortment_effect.compared_with": (
        "Assortment that is compared with: basic, or the commonest if no store has that."
    ),
    "insights.store_type_effect.compared_with": (
        "Kind of store that is compared with: the commonest."
    ),
    "insights.assortment_effect.effect": (
        "By which share it is above stores of compared_with and the same type on the same dates. "
        "Empty of these themselves, or if there are none."
    ),
    "insights.store_type_effect.effect": (
        "By which share it is above stores of compared_with and the same assortment on the same "
        "dates. Empty of these themselves, or if there are none."
    ),
    # Which stores behave alike?
    "cluster": "Number of the store's group; 1 is the largest.",
    "cluster_stores": "Stores of that group.",
    "cluster_is": "What sets that group apart: its means against those of all stores.",
    "silhouette": (
        "1: the store is like its own group alone; 0: as much like another; below 0: more like it."
    ),
    "promo_lift": (
        "By which share the store sells more with a promotion than without on the same weekday. "
        "Empty if no weekday has both."
    ),
    "monday_lift": (
        "By which share its Mondays are above its Tuesdays to Thursdays, without promotions; empty "
        "if it has none."
    ),
    "saturday_lift": (
        "By which share its Saturdays are above its Tuesdays to Thursdays, without promotions; "
        "empty if it has none."
    ),
    "sunday_share": (
        "Share of Sundays on which it sells, in weeks in which it does; empty if there are none."
    ),
    "christmas_lift": (
        "By which share 10 to 23 December is above its usual days; empty if it has none of either."
    ),
    "yearly_growth": (
        "By which share days are above those 52 weeks before, if both or neither had a promotion. "
        "Empty if there are none."
    ),
    # Does it matter how near the competitor is?
    "insights.competition_distance.slice": (
        "distance: a band of distances; twice the distance: what doubling it changes."
    ),
    "insights.competition_distance.value": (
        "Which band; or all stores, or the half with the nearer or the farther competitors."
    ),
    "from_m": "Metres from which the band goes on; empty of twice the distance.",
    "to_m": "Metres at which it ends; empty of the last band and of twice the distance.",
    "median_distance_m": "Median of the stores' distances to the nearest competitor, metres.",
    "typical_sales": "Geometric mean of sales of a selling day, EUR; each store counts once.",
    "insights.competition_distance.effect": (
        "By which share sales are above the mean of stores of the same type and assortment. twice "
        "the distance: by which share they rise with it among these."
    ),
    "insights.competition_distance.customers_effect": (
        "As effect, of customers; empty if they were not counted."
    ),
    "insights.competition_distance.basket_effect": (
        "As effect, of sales a customer; empty if customers were not counted."
    ),
    # What does a new competitor cost?
    "insights.competition_opening.slice": (
        "four weeks, half-year after, or placebo: the quarter before in two halves."
    ),
    "insights.competition_opening.value": (
        "First of the four weeks, from the opening; which distances, or all; or which half."
    ),
    "insights.competition_opening.from_week": (
        "First of the four weeks, from the opening: 0 follows it; empty of other slices."
    ),
    "insights.competition_opening.effect": (
        "By which share sales are above those of the quarter before, beyond similar stores on the "
        "same days. placebo: its later half above its earlier."
    ),
    # What happens after months of refurbishment?
    "insights.refurbishment_effect.slice": (
        "before closing, after reopening, or settled: from 13 weeks after on."
    ),
    "insights.refurbishment_effect.value": (
        "First of four weeks, from closing or reopening; of settled, all from 13 weeks after."
    ),
    "insights.refurbishment_effect.from_week": (
        "First of four weeks, from closing (below 0) or reopening (0 follows it); empty of settled."
    ),
    "median_days_away": "Median of the days that stores were closed; the same in all rows.",
    "insights.refurbishment_effect.effect": (
        "By which share sales are above those of the half-year before closing, beyond stores that "
        "stayed open, on the same days."
    ),
    # Do the sales have a steady level?
    "transformation": (
        "raw: log sales; difference 7 or 14: less those of as many days before, if sold on both."
    ),
    "observations": "Values that are tested.",
    "lags": "Lags of both tests, from the number of observations by Schwert's rule.",
    "insights.stationarity.deviation": (
        "Standard deviation of these values, in logs; empty if there are none."
    ),
    "adf_statistic": (
        "Augmented Dickey-Fuller test around a level: its statistic; empty if it cannot be made."
    ),
    "adf_p_value": "Its p-value: below 0.05 the series does not wander (no unit root).",
    "kpss_statistic": (
        "Test of Kwiatkowski, Phillips, Schmidt and Shin around a level: its statistic; empty if "
        "it cannot be made."
    ),
    "kpss_p_value": "Its p-value, clipped to 0.01 to 0.10: below 0.05 there is no steady level.",
    "trend_adf_statistic": "As adf_statistic, around a straight line.",
    "trend_adf_p_value": "As adf_p_value, around a straight line.",
    "trend_kpss_statistic": "As kpss_statistic, around a straight line.",
    "trend_kpss_p_value": "As kpss_p_value, around a straight line.",
    "insights.stationarity.verdict": (
        "stationary (around a level), trend (around a line), unit root (it wanders), inconclusive, "
        "or too short (fewer than 100 observations)."
    ),
    # Which days before does a day resemble?
    "series": (
        "The chain or a store type: mean of its stores' log sales, less each store's own mean."
    ),
    "lag": "Days between the days that are correlated.",
    "acf": (
        "Autocorrelation at the lag, -1 to 1, of days on which at least half of the stores sold; "
        "empty if n is 0."
    ),
    "pacf": (
        "Partial autocorrelation at the lag, -1 to 1; other days count as average. Empty if n is 0."
    ),
    "bound_95": (
        "1.96 / sqrt(n): by chance at most 5 of 100 lags are further from 0; empty if n is 0."
    ),
    "insights.autocorrelation.n": (
        "Pairs of days, as far apart as the lag, on both of which at least half of the stores sold."
    ),
}
