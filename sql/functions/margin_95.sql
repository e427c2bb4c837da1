-- How far a 95 % interval reaches from a mean of one value a store.
create or replace macro insights.margin_95(value) as
insights.t_95(count(value) - 1) * stddev_samp(value) / sqrt(count(value))
