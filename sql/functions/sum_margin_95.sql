-- How far a 95 % interval reaches from what has two independent parts, from their variances and
-- degrees of freedom (Welch, 1947).
create or replace macro insights.sum_margin_95(variance, freedom, other, other_freedom) as
case
    when variance + other = 0 then 0.0
    else
        sqrt(variance + other) * insights.t_95(
            (variance + other) ** 2 / (variance ** 2 / freedom + other ** 2 / other_freedom)
        )
end
