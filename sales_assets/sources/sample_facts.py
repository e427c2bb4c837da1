"""Facts that the sample is made of, measured on real stores: effects, spreads, kinds of stores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effects:
    """What moves sales, as a share of them: 0.2 is 20 % more, and several effects multiply."""

    promo_lift: tuple[float, ...] = (0.56, 0.44, 0.35, 0.30, 0.21)  # Monday to Friday, on average.
    promo_basket: float = 0.12  # On what one customer buys: a part of the lift above.
    promo2_lift: float = 0.03  # In the months in which a store's Promo2 starts anew.
    competitor_drop: float = 0.26  # From a competitor's opening on, if it is next door,
    competitor_reach_m: float = 2_500.0  # and 1/e of it at this distance.
    refurbishment_dip: float = 0.12  # Lost on the day a refurbished store reopens,
    refurbishment_recovery_days: float = 30.0  # down to 1/e after so many days.
    refurbishment_gain: float = 0.05  # What a refurbished store keeps.
    christmas_peak: float = 0.60  # On 23 December,
    christmas_days: int = 28  # growing over so many days.
    half_day: float = -0.55  # On 24 and 31 December, when stores close at noon.
    between_the_years: float = 0.12  # From 27 to 31 December.
    january: float = -0.05
    easter_peak: float = 0.16  # On Easter Saturday,
    easter_days: int = 8  # growing over so many days.
    after_easter: float = -0.05  # In the ten days that follow Easter Monday.
    around_closure: float = 0.20  # On the days before and after a holiday that closes the store.
    school_holiday: float = -0.015
    summer: float = 0.04  # Height of the yearly wave, at the end of June.
    growth: float = 0.03  # In a year, on average.
    # Day of the month and its lift; 0 is the last day of a month, -1 the one before.
    pay_day: tuple[tuple[int, float], ...] = (
        (-15, -0.02), (-7, -0.06), (-4, -0.03), (-2, 0.04), (-1, 0.16), (0, 0.16),
        (1, 0.10), (2, 0.10), (3, 0.04), (7, 0.0), (15, -0.02),
    )  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """How stores differ and how days scatter: standard deviations of the logarithm of sales."""

    level: float = 0.34
    basket: float = 0.15
    weekday: tuple[float, ...] = (0.05, 0.05, 0.05, 0.05, 0.05, 0.12, 0.15)
    promo_response: float = 0.25  # Of a store's answer to promotions: a share of the average one.
    summer: float = 0.05
    growth: float = 0.04
    shift: float = 0.08  # Of one sudden and lasting change, such as road works.
    slow: float = 0.07  # Of noise whose autocorrelation falls to 1/e
    slow_days: float = 120.0  # in so many days;
    fast: float = 0.04
    fast_days: float = 2.0
    day: float = 0.07  # of what no model can know.
    basket_day: float = 0.05


@dataclass(frozen=True)
class StoreType:
    """What the stores of one type have in common."""

    share: float
    assortments: tuple[float, float, float]  # Shares of a (basic), b (extra) and c (extended).
    open_sundays: float  # Share of stores.
    sales: float  # EUR on a usual day,
    basket: float  # and from one customer.
    weekdays: tuple[float, ...]


EFFECTS = Effects()
SPREAD = Spread()
TYPES = {
    "a": StoreType(0.54, (0.63, 0.0, 0.37), 0.015, 5_500, 7.9,
                   (1.04, 1.00, 0.99, 1.00, 1.07, 0.89, 0.58)),
    "b": StoreType(0.015, (0.41, 0.53, 0.06), 0.70, 8_500, 3.8,
                   (1.09, 0.99, 1.00, 1.04, 1.06, 0.84, 1.34)),
    "c": StoreType(0.133, (0.52, 0.0, 0.48), 0.015, 5_500, 8.6,
                   (0.97, 0.93, 0.94, 0.95, 1.08, 1.18, 0.60)),
    "d": StoreType(0.312, (0.37, 0.0, 0.63), 0.015, 5_700, 10.3,
                   (0.98, 0.92, 0.95, 0.97, 1.12, 1.15, 0.60)),
}  # fmt: skip
ASSORTMENT_LEVEL = {"a": 0.0, "b": 0.1, "c": 0.2}
PROMO2_LEVEL = -0.13  # It is the weaker stores that take part in Promo2.
STATES = {
    "NW": 0.26, "BY": 0.16, "SH": 0.10, "HE": 0.10, "BE": 0.08, "SN": 0.07,
    "BW": 0.07, "RP": 0.05, "ST": 0.05, "TH": 0.05, "HH": 0.01,
}  # fmt: skip
