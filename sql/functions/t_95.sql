-- How many standard errors a 95 % interval reaches from an estimate, where the standard error is
-- estimated too: the quantile of Student's t below which a share of 0.975 lies. For few stores it is
-- much more than 1.96. Of whole degrees of freedom to 0.03 %, of fractions below 4 to 3 %
-- (Abramowitz and Stegun, 1964, 26.7.5; the first three from their table).
create or replace macro insights.t_95(freedom) as
case
    when freedom >= 4
        then
            1.959964 + 2.372271 / freedom + 2.822499 / freedom ** 2
            + 2.555850 / freedom ** 3 + 1.589534 / freedom ** 4
    when freedom >= 3 then 3.182446 * (2.776445 / 3.182446) ** (4 - 12 / freedom)
    when freedom >= 2 then 4.302653 * (3.182446 / 4.302653) ** (3 - 6 / freedom)
    when freedom > 0 then 12.706205 * (4.302653 / 12.706205) ** (2 - 2 / freedom)
end
