"""Faults of a sound warehouse, one or more for each expectation."""

NEWEST = "(select max(date) from raw.sales)"
# One day of a store on which it sold, far enough back that it is in no comparison of weeks.
ONE_DAY = "where store_id = 1 and date = '2014-01-07'"
PLANNED = "where store_id = 1 and date = '2014-05-19'"
INFINITE = "cast('infinity' as float)"

# The query, the expectation, whether it stops a refresh, and what breaks it.
BROKEN = [
    ("raw_sales", "Stores are whole numbers", True,
     "alter table raw.sales alter store_id type bigint"),
    ("raw_sales", "Sales are numbers", True, "alter table raw.sales alter sales type integer"),
    ("raw_sales", "A store's day is there once", True,
     f"insert into raw.sales from raw.sales {ONE_DAY}"),
    ("raw_sales", "The store of every sale is in raw.stores", True,
     "delete from raw.stores where store_id = 3"),
    ("raw_sales", "Sales are 0 or more, and finite", True,
     f"update raw.sales set sales = -1 {ONE_DAY}"),
    ("raw_sales", "Sales are 0 or more, and finite", True,
     f"update raw.sales set sales = 'infinity' {ONE_DAY}"),
    ("raw_sales", "Customers are 0 or more", True,
     f"update raw.sales set customers = -1 {ONE_DAY}"),
    ("raw_sales", "State holidays are codes of the layout", True,
     f"update raw.sales set state_holiday = 'x' {ONE_DAY}"),
    ("raw_sales", "No day lies a week or more after the last one that a fifth of the usual stores "
     "tell of", False, f"update raw.sales set date = {NEWEST} + 7 {ONE_DAY}"),
    ("raw_sales", "The newest four weeks sold at most 20 times a store's median day", False,
     f"update raw.sales set sales = 100 * sales where store_id = 1 and date > {NEWEST} - 3"),
    ("raw_sales_weeks", "A new week has at least 80% of the usual rows", False,
     f"delete from raw.sales where date between {NEWEST} - 2 and {NEWEST} - 1"),
    ("raw_sales_weeks", "A new week has at least 80% of the usual rows", False,
     f"delete from raw.sales where date between {NEWEST} - 13 and {NEWEST} - 7"),
    ("raw_sales_weeks", "A new week sold 40% to 250% of the usual", False,
     f"update raw.sales set sales = sales / 10 where date > {NEWEST} - 7"),
    ("raw_sales_weeks", "A new week sold 40% to 250% of the usual", False,
     f"update raw.sales set sales = sales * 10 where date > {NEWEST} - 7"),
    ("raw_sales_freshness", "New sales are at most 14 days overdue", False,
     "update raw.loads set loaded_at = loaded_at - interval 15 days"),
    *(
        ("raw_sales_known_weeks", "At least 50% of the known weeks sold 90% to 110% of what the "
         "last refresh knew", True, f"update raw.sales set sales = {times} * sales")
        for times in (0.81, 1.19)
    ),
    *(
        ("raw_sales_known_weeks", "A known week sold 90% to 110% of what the last refresh knew",
         False, f"update raw.sales set sales = {times} * sales where date > {NEWEST} - 7")
        for times in (0.81, 1.19)
    ),
    *(
        ("raw_sales_known_stores", "A store's known days sold 90% to 110% of what the last refresh "
         "knew", False, f"update raw.sales set sales = {times} * sales where store_id = 2")
        for times in (0.01, 1.19)
    ),
    ("raw_stores", "There are stores", True, "delete from raw.stores"),
    ("raw_stores", "Stores are whole numbers", True,
     "alter table raw.stores alter store_id type bigint"),
    ("raw_stores", "A store is there once", True,
     "insert into raw.stores from raw.stores where store_id = 1"),
    ("raw_stores", "Numbers of stores are 0 or more", True,
     "update raw.stores set store_id = -1 where store_id = 1"),
    ("raw_stores", "Store types are codes of the layout", True,
     "update raw.stores set store_type = 'e' where store_id = 1"),
    ("raw_stores", "Assortments are codes of the layout", True,
     "update raw.stores set assortment = 'e' where store_id = 1"),
    ("raw_stores", "Competitors are 0 metres away or more", True,
     "update raw.stores set competition_distance_m = -1 where store_id = 1"),
    *(
        ("raw_stores", f"{says} is one of {least} to {most}", True,
         f"update raw.stores set {column} = {value} where store_id = 1")
        for says, column, least, most in (
            ("A competitor's month", "competition_open_since_month", 1, 12),
            ("A competitor's year", "competition_open_since_year", 1900, 2100),
            ("The week of joining Promo2", "promo2_since_week", 1, 53),
            ("The year of joining Promo2", "promo2_since_year", 1900, 2100),
        )
        for value in (least - 1, most + 1)
    ),
    ("raw_stores", "A store in Promo2 says since when and in which months", False,
     "update raw.stores set promo2 = true, promo_interval = null where store_id = 1"),
    ("raw_plan", "Stores are whole numbers", True,
     "alter table raw.plan alter store_id type bigint"),
    ("raw_plan", "A store's day is there once", True,
     f"insert into raw.plan from raw.plan {PLANNED}"),
    ("raw_plan", "Every store of the plan is in raw.stores", True,
     "delete from raw.stores where store_id = 3"),
    ("raw_plan", "State holidays are codes of the layout", True,
     f"update raw.plan set state_holiday = 'x' {PLANNED}"),
    ("raw_plan", "The plan says of 90% of its days whether the store opens", False,
     "update raw.plan set is_open = null where store_id < 3"),
    ("raw_plan_days", "The delivered plan has each day of the horizon, for at least 50% of the "
     "stores that sell", False, f"delete from raw.plan where date > {NEWEST} + 30"),
    ("cleaned_stores", "Every delivered store is there", True,
     "delete from cleaned.stores where store_id = 1"),
    ("cleaned_stores", "Every store was delivered", True,
     "insert into cleaned.stores select * replace (99 as store_id) from cleaned.stores limit 1"),
    ("cleaned_stores", "A store is there once", True,
     "insert into cleaned.stores from cleaned.stores where store_id = 1"),
    ("cleaned_stores", "Store types are words of the platform", True,
     "update cleaned.stores set store_type = 'e' where store_id = 1"),
    ("cleaned_stores", "Every store has an assortment", True,
     "update cleaned.stores set assortment = null where store_id = 1"),
    ("cleaned_stores", "Assortments are words of the platform", True,
     "update cleaned.stores set assortment = 'a' where store_id = 1"),
    ("cleaned_stores", "Competitors are 0 metres away or more", True,
     "update cleaned.stores set competition_distance_m = -1 where store_id = 1"),
    *(
        ("cleaned_stores", f"{says} in a year of 1900 to 2100", True,
         f"update cleaned.stores set {column} = '{day}' where store_id = 1")
        for says, column in (
            ("Competitors opened", "competition_open_since"),
            ("Stores joined Promo2", "promo2_since"),
        )
        for day in ("1899-12-31", "2101-01-01")
    ),
    ("cleaned_stores", "The first month of Promo2 is one of 1 to 12", True,
     "update cleaned.stores set promo2_months = [0, 6] where store_id = 1"),
    ("cleaned_stores", "The last month of Promo2 is one of 1 to 12", True,
     "update cleaned.stores set promo2_months = [6, 13] where store_id = 1"),
    ("cleaned_sales", "Stores are whole numbers", True,
     "alter table cleaned.sales alter store_id type bigint"),
    ("cleaned_sales", "Sales are numbers", True,
     "alter table cleaned.sales alter sales type integer"),
    ("cleaned_sales", "A store's day is there once", True,
     f"insert into cleaned.sales from cleaned.sales {ONE_DAY}"),
    *(
        ("cleaned_sales", f"Every day has its {column}", True,
         f"update cleaned.sales set {column} = null {ONE_DAY}")
        for column in ("store_id", "date", "sales", "is_open", "is_promo", "state_holiday")
    ),
    ("cleaned_sales", "Sales are 0 or more, and finite", True,
     f"update cleaned.sales set sales = -1 {ONE_DAY}"),
    ("cleaned_sales", "Customers are 0 or more", True,
     f"update cleaned.sales set customers = -1 {ONE_DAY}"),
    ("cleaned_sales", "A closed day sold nothing", True,
     f"update cleaned.sales set is_open = false {ONE_DAY}"),
    ("cleaned_sales", "State holidays are words of the platform", True,
     f"update cleaned.sales set state_holiday = 'bank' {ONE_DAY}"),
    ("cleaned_sales", "A closed day had no customers", False,
     f"update cleaned.sales set is_open = false, sales = 0 {ONE_DAY}"),
    ("cleaned_sales_stores", "A store has every day of the calendar", True,
     f"delete from cleaned.sales {ONE_DAY}"),
    ("cleaned_sales_stores", "A store has every day of the calendar", True,
     "delete from cleaned.sales where store_id = 1"),
    ("cleaned_sales_stores", "Every store with sales is in cleaned.stores", True,
     "delete from cleaned.stores where store_id = 1"),
    ("cleaned_sales_stores", "No sales were lost or doubled", True,
     f"update cleaned.sales set sales = 0 {ONE_DAY}"),
    ("cleaned_sales_stores", "90% of the stores of the week before delivered the newest week",
     False, f"delete from raw.sales where store_id < 3 and date > {NEWEST} - 7"),
    ("cleaned_plan", "A store's day is there once", True,
     f"insert into cleaned.plan from cleaned.plan {PLANNED}"),
    *(
        ("cleaned_plan", f"Every day has its {column}", True,
         f"update cleaned.plan set {column} = null {PLANNED}")
        for column in ("is_open", "is_promo", "state_holiday")
    ),
    ("cleaned_plan", "State holidays are words of the platform", True,
     f"update cleaned.plan set state_holiday = 'bank' {PLANNED}"),
    ("cleaned_plan", "Every store of the plan is in cleaned.stores", True,
     "delete from cleaned.stores where store_id = 1"),
    ("cleaned_plan", "Days lie after the newest sales", True,
     f"update cleaned.plan set date = date - 30 {PLANNED}"),
    ("cleaned_plan", "Days lie within the horizon", True,
     f"update cleaned.plan set date = date + 60 {PLANNED}"),
    ("cleaned_plan_stores", "50% of the stores that sell will open on the days that no plan was "
     "delivered for", True,
     "update cleaned.plan set is_open = false, is_derived = true where store_id < 8"),
    ("cleaned_plan_stores", "A store's plan covers the horizon", True,
     f"delete from cleaned.plan {PLANNED}"),
    ("cleaned_plan_stores", "A store's plan covers the horizon", True,
     "delete from cleaned.plan where store_id = 1"),
    ("cleaned_plan_stores", "90% of the stores that sell will open", False,
     "update cleaned.plan set is_open = false where store_id < 3"),
    ("features_training", "Rows lie after their cutoff", True,
     "update features.training set h = 0 where store_id = 1 and h = 2"),
    ("features_training", "Rows lie within the horizon", True,
     "update features.training set h = 43 where store_id = 1 and h = 2"),
    ("features_training", "A row's h is its distance from the cutoff", True,
     "update features.training set date = date + 1 where store_id = 1 and h = 2"),
    ("features_training", "A store's day is there once in a window", True,
     "insert into features.training from features.training where store_id = 1 and h = 2"),
    *(
        ("features_training", "No feature is infinite", True,
         f"update features.training set level_14 = {value} where store_id = 1 and h = 2")
        for value in (INFINITE, f"-{INFINITE}", "cast('nan' as float)")
    ),
    ("features_training", "Every row to learn from has sales", True,
     "update features.training set log_sales = null where is_training and store_id = 1"),
    ("features_training", "What rows tell of former sales is no younger than the cutoff", True,
     "update features.training set profile_age_days = -1 where store_id = 1 and h = 2"),
    ("features_training_columns", "Every column is there, of the kind that models read", True,
     "alter table features.training drop column season_7"),
    ("features_training_columns", "Every column is there, of the kind that models read", True,
     "alter table features.training alter season_7 type varchar"),
    ("features_training_size", "There is something to learn from", True,
     "update features.training set is_training = false"),
    ("features_training_size", "There are at least 500 rows to learn from", False,
     "update features.training set is_training = store_id = 1 and h = 2 and is_training"),
    ("features_training_size", "At least 50% of the rows have sales", False,
     "update features.training set log_sales = null where store_id < 9"),
    ("features_future", "Every planned day has its features", True,
     f"delete from features.future {PLANNED}"),
    ("features_future", "Every row is a planned day", True, f"delete from cleaned.plan {PLANNED}"),
    ("features_future", "A store's day is there once", True,
     f"insert into features.future from features.future {PLANNED}"),
    ("features_future", "The cutoff is the newest day with sales", True,
     "update features.future set cutoff = cutoff - 7"),
    ("features_future", "A row's h is its distance from the cutoff", True,
     f"update features.future set h = h + 1 {PLANNED}"),
    ("features_future", "Rows lie after the cutoff", True,
     f"update features.future set h = 0 {PLANNED}"),
    ("features_future", "Rows lie within the horizon", True,
     f"update features.future set h = 43 {PLANNED}"),
    ("features_future", "No coming day knows its sales", True,
     f"update features.future set log_sales = 8 {PLANNED}"),
    ("features_future", "No feature is infinite", True,
     f"update features.future set level_14 = {INFINITE} {PLANNED}"),
    ("features_future", "90% of the rows know the store's level", False,
     "update features.future set anchor = null where store_id < 3"),
    ("models_backtest", "Every model forecast every selling day of a window, and no other", True,
     "delete from models.backtest where model = 'lstm' and store_id = 1"),
    ("models_backtest", "Every model forecast every selling day of a window, and no other", True,
     "delete from features.training where store_id = 1 and h = 4"),
    ("models_backtest", "A store's day is there once", True,
     "insert into models.backtest from models.backtest where store_id = 1 and model = 'lstm'"),
    ("models_backtest", "Forecasts, bounds and sales are numbers", True,
     "update models.backtest set forecast = 'nan' where store_id = 1 and model = 'lstm'"),
    ("models_backtest", "Bounds are 0 or more, and in order", True,
     "update models.backtest set lo_80 = hi_80 + 1 where store_id = 1 and model = 'lstm'"),
    ("models_backtest", "Days lie after the cutoff, within the horizon", True,
     "update models.backtest set h = h + 1 where store_id = 1 and model = 'lstm'"),
    ("models_backtest_models", "80 % intervals cover 65% to 92% of the days", False,
     "update models.backtest set lo_80 = 0 where model = 'lstm'"),
    ("models_backtest_models", "80 % intervals cover 65% to 92% of the days", False,
     "update models.backtest set lo_80 = hi_80 where model = 'lstm'"),
    ("models_backtest_models", "95 % intervals cover 85% to 100% of the days", False,
     "update models.backtest set lo_95 = hi_95 where model = 'lstm'"),
    ("models_backtest_models", "The median error is at most 50%", False,
     "update models.backtest set forecast = 2 * forecast where model = 'lstm'"),
    ("forecasts_daily", "A store's day is forecast once by a model", True,
     f"insert into forecasts.daily from forecasts.daily {PLANNED}"),
    ("forecasts_daily", "What is forecast is what was asked for, from the same cutoff", True,
     "update forecasts.daily set cutoff = cutoff - 1"),
    ("forecasts_daily", "What is forecast is what was asked for, from the same cutoff", True,
     f"delete from features.future {PLANNED}"),
    *(
        ("forecasts_daily", f"Every day, store and model has its {column}", True,
         f"delete from forecasts.daily {PLANNED} and model = 'lstm'")
        for column in ("lo_95", "lo_80", "forecast", "hi_80", "hi_95")
    ),
    ("forecasts_daily", "Bounds are 0 or more", True,
     f"update forecasts.daily set lo_95 = -1 {PLANNED}"),
    ("forecasts_daily", "Bounds are finite", True,
     f"update forecasts.daily set hi_95 = 'infinity' {PLANNED}"),
    *(
        ("forecasts_daily", f"{upper} is not below {lower}", True,
         f"update forecasts.daily set {lower} = {upper} + 1 {PLANNED}")
        for lower, upper in (
            ("lo_95", "lo_80"), ("lo_80", "forecast"), ("forecast", "hi_80"), ("hi_80", "hi_95"),
        )
    ),
    ("forecasts_daily", "A closed day's forecast and bounds are 0", True,
     f"update features.future set is_open = false {PLANNED}"),
    ("forecasts_daily", "No day's forecast is beyond 3 times the store's best day", True,
     f"update forecasts.daily set forecast = 100 * forecast {PLANNED}"),
    ("forecasts_daily_stores", "A store's mean forecast is 0.5 to 2 times its mean sales", False,
     "update forecasts.daily set forecast = 3 * forecast where store_id = 1 and model = 'lstm'"),
    ("forecasts_daily_stores", "A store's mean forecast is 0.5 to 2 times its mean sales", False,
     "update forecasts.daily set forecast = forecast / 3 where store_id = 1 and model = 'lstm'"),
    ("forecasts_daily_chain", "The chain's mean forecast is 0.2 to 5 times its mean sales of "
     "eight weeks", True, "update forecasts.daily set forecast = 0"),
    *(
        ("forecasts_daily_chain", f"The chain's mean forecast is {least} to {most} times its mean "
         f"sales {when}", is_critical, f"update forecasts.daily set forecast = {times} * forecast")
        for least, most, when, is_critical, wrong in (
            (0.2, 5, "of eight weeks", True, (0.1, 6)),
            (0.6, 1.7, "of eight weeks", False, (0.5, 2)),
            (0.6, 1.7, "of the same days a year before", False, (0.5, 2)),
        )
        for times in wrong
    ),
]  # fmt: skip
