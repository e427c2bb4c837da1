-- One row a year: Easter Sunday. Carnival, Ascension, Pentecost and Corpus Christi move with it.
-- The algorithm of Meeus, Jones and Butcher, with its customary letters (Meeus 1991, chapter 8).
select
    year,
    year % 19 as a,
    year // 100 as b,
    year % 100 as c,
    (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30 as h,
    (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7 as l,
    (a + 11 * h + 22 * l) // 451 as m,
    h + l - 7 * m + 114 as n,
    make_date(year, n // 31, n % 31 + 1) as easter
from generate_series(1950, 2150) as years(year)
