"""What must be true of `cleaned.stores`: every delivered store, in the platform's vocabulary."""

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import ASSORTMENTS, MONTHS, STORE_TYPES, YEARS


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suite of the stores."""
    return [
        gx.ExpectationSuite(
            name="cleaned_stores",
            expectations=[
                gxe.ExpectColumnValuesToNotBeNull(
                    description="Every delivered store is there", column="cleaned_store_id"
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    description="Every store was delivered", column="delivered_store_id"
                ),
                gxe.ExpectColumnValuesToBeUnique(
                    description="A store is there once", column="store_id"
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    description="Store types are words of the platform",
                    column="store_type",
                    value_set=list(STORE_TYPES.values()),
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    description="Every store has an assortment", column="assortment"
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    description="Assortments are words of the platform",
                    column="assortment",
                    value_set=list(ASSORTMENTS.values()),
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    description="Competitors are 0 metres away or more",
                    column="competition_distance_m",
                    min_value=0,
                ),
                *(
                    gxe.ExpectColumnValuesToBeBetween(
                        description=f"{says} {values[0]} to {values[-1]}",
                        column=column,
                        min_value=values[0],
                        max_value=values[-1],
                    )
                    for says, column, values in (
                        ("Competitors opened in a year of", "competition_year", YEARS),
                        ("Stores joined Promo2 in a year of", "promo2_year", YEARS),
                        ("The first month of Promo2 is one of", "first_promo2_month", MONTHS),
                        ("The last month of Promo2 is one of", "last_promo2_month", MONTHS),
                    )
                ),
            ],
        )
    ]
