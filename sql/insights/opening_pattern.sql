-- One row a kind of closure and selling day beside it (-1 is the last before closing, 1 the first
-- after reopening): what stores sell on it against their usual day of that weekday and promotion.
-- A lone Sunday and weekdays on which a store is usually shut are no closure, nor are days of which no
-- file speaks; those of Christmas and Easter, whose days are like no others, are left to
-- `holiday_effect`. Intervals are over stores and days (Cameron, Gelbach and Miller, 2011).
with

selling_days as (
    select
        store_id,
        date,
        row_number() over (partition by store_id order by date) as number,
        lead(date) over (partition by store_id order by date) as next_date
    from insights.deviations
),

usual_weekdays as (
    select store_id, isodow(date) as weekday
    from cleaned.sales
    where not is_absent
    group by store_id, isodow(date)
    having avg(cast(is_open and sales > 0 as integer)) > 0.5
),

shut_days as (
    select
        *,
        cast(unnest(generate_series(
            date + interval 1 day, next_date - interval 1 day, interval 1 day
        )) as date) as shut_on
    from selling_days
    where next_date - date > 1
),

gaps as (
    select
        shut_days.store_id,
        shut_days.number as last_number,
        shut_days.date as closed_after,
        shut_days.next_date as reopened_on,
        shut_days.next_date - shut_days.date - 1 as days_shut
    from shut_days
    inner join cleaned.sales as sales
        on sales.store_id = shut_days.store_id and sales.date = shut_days.shut_on
    left join usual_weekdays
        on
            usual_weekdays.store_id = shut_days.store_id
            and usual_weekdays.weekday = isodow(shut_days.shut_on)
    group by all
    having
        count(usual_weekdays.weekday) > 0
        and not bool_or(sales.is_absent)
        -- Who opens on the Sundays of a season alone rests on the others.
        and not (shut_days.next_date - shut_days.date = 2 and isodow(shut_days.date) = 6)
),

feasts as (
    select distinct store_id, date
    from cleaned.sales
    where state_holiday in ('easter', 'christmas') or (month(date) = 1 and day(date) = 1)
),

closures as (
    select
        gaps.*,
        case
            when days_shut <= 3 then 'one to three days'
            when days_shut < 7 then 'four to six days'
            else 'a week or more'
        end as closure,
        case when days_shut <= 3 then 1 when days_shut < 7 then 2 else 3 end as place
    from gaps
    where
        not exists (
            select 1
            from feasts
            where
                feasts.store_id = gaps.store_id
                and feasts.date between gaps.closed_after - 3 and gaps.reopened_on + 3
        )
),

steps as (
    select unnest([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]) as day
),

beside as (
    select
        closures.closure,
        closures.place,
        closures.store_id,
        steps.day,
        closures.last_number + if(steps.day < 0, steps.day + 1, steps.day) as number
    from closures
    cross join steps
),

keyed as (
    select
        {'place': beside.place, 'closure': beside.closure, 'day': beside.day} as key,
        deviations.store_id,
        deviations.date as occasion,
        deviations.sales_deviation as sales,
        deviations.customers_deviation as customers
    from beside
    inner join selling_days using (store_id, number)
    inner join insights.deviations as deviations
        on
            deviations.store_id = selling_days.store_id
            and deviations.date = selling_days.date
    where deviations.sales_deviation is not null
)

select
    key.closure,
    cast(key.day as integer) as day,
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
order by key.place, key.day
