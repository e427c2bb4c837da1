-- One row a slice of the year: what stores sell then against what is usual. Months and ISO weeks
-- are compared with the same store's whole year, weekday and promotion, in years in which it sold
-- in every month; the Christmas and Easter seasons of each year that the history holds whole, and on
-- usual days the days of the month and those around its end (0 is its last day), with the usual days
-- of the 13 weeks around. Intervals are over stores and occasions (Cameron, Gelbach and Miller, 2011):
-- the days, or the month or week of each year. A season of one year is a single one and has none.
with

of_the_year as (
    select
        store_id,
        date,
        weekday,
        is_promo,
        log_sales,
        log_customers
    from insights.deviations
    qualify count(distinct month(date)) over (partition by store_id, year(date)) = 12
),

against_year as (
    select
        store_id,
        date,
        log_sales - avg(log_sales) over alike as sales,
        log_customers - avg(log_customers) over alike as customers
    from of_the_year
    window alike as (partition by store_id, year(date), weekday, is_promo)
),

span as (
    select min(date) as first_day, max(date) as last_day from cleaned.sales
),

easter_mondays as (
    select year(sales.date) as year, max(sales.date) as easter_monday
    from cleaned.sales as sales
    cross join span
    where
        sales.state_holiday = 'easter'
        and isodow(sales.date) = 1
        and sales.date - 14 >= span.first_day
    group by year(sales.date)
),

against_usual as (
    select
        days.store_id,
        days.date,
        days.is_usual,
        easter_mondays.easter_monday - days.date as days_to_easter,
        case
            when day(days.date) <= 10 then day(days.date)
            else -date_diff('day', days.date, last_day(days.date))
        end as days_from_month_end,
        days.sales_deviation as sales,
        days.customers_deviation as customers
    from insights.deviations as days
    left join easter_mondays on easter_mondays.year = year(days.date)
    where days.sales_deviation is not null
),

slices as (
    select
        1 as part,
        'Christmas season' as slice,
        year(date) as value,
        date_trunc('year', date) as occasion,
        store_id,
        sales,
        customers
    from against_usual
    cross join span
    where
        ((month(date) = 11 and day(date) >= 27) or (month(date) = 12 and day(date) <= 24))
        and make_date(year(date), 11, 27) >= span.first_day
        and make_date(year(date), 12, 24) <= span.last_day
    union all
    select 2, 'Easter season', year(date), date_trunc('year', date), store_id, sales, customers
    from against_usual
    where days_to_easter between 1 and 14
    union all
    select 3, 'month', month(date), date_trunc('month', date), store_id, sales, customers
    from against_year
    union all
    select 4, 'ISO week', week(date), date_trunc('week', date), store_id, sales, customers
    from against_year
    union all
    select 5, 'day of the month', day(date), date, store_id, sales, customers
    from against_usual
    where is_usual
    union all
    select 6, 'around pay-day', days_from_month_end, date, store_id, sales, customers
    from against_usual
    where is_usual and days_from_month_end between -10 and 10
),

keyed as (
    select
        {'part': part, 'slice': slice, 'value': value} as key,
        store_id,
        occasion,
        sales,
        customers
    from slices
)

select
    key.slice,
    cast(key.value as integer) as value,
    stores,
    occasions,
    days,
    sales_effect,
    sales_lo_95,
    sales_hi_95,
    customers_effect,
    customers_lo_95,
    customers_hi_95
from insights.effects('keyed')
order by key.part, key.value
