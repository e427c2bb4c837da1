"""What must be true of `raw.stores`: each store once, described in the codes of the layout."""

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import ASSORTMENTS, MONTHS, STORE_TYPES, WEEKS, YEARS


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suite of the stores."""
    return [
        gx.ExpectationSuite(
            name="raw_stores",
            expectations=[
                gxe.ExpectTableRowCountToBeBetween(description="There are stores", min_value=1),
                gxe.ExpectColumnValuesToBeInTypeList(
                    description="Stores are whole numbers", column="store_id", type_list=["int32"]
                ),
                gxe.ExpectColumnValuesToBeUnique(
                    description="A store is there once", column="store_id"
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    description="Numbers of stores are 0 or more", column="store_id", min_value=0
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    description="Store types are codes of the layout",
                    column="store_type",
                    value_set=list(STORE_TYPES),
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    description="Assortments are codes of the layout",
                    column="assortment",
                    value_set=list(ASSORTMENTS),
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    description="Competitors are 0 metres away or more",
                    column="competition_distance_m",
                    min_value=0,
                ),
                *(
                    gxe.ExpectColumnValuesToBeBetween(
                        description=f"{says} is one of {values[0]} to {values[-1]}",
                        column=column,
                        min_value=values[0],
                        max_value=values[-1],
                    )
                    for says, column, values in (
                        ("A competitor's month", "competition_open_since_month", MONTHS),
                        ("A competitor's year", "competition_open_since_year", YEARS),
                        ("The week of joining Promo2", "promo2_since_week", WEEKS),
                        ("The year of joining Promo2", "promo2_since_year", YEARS),
                    )
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    description="A store in Promo2 says since when and in which months",
                    column="is_promo2_described",
                    value_set=[True],
                    severity="warning",
                ),
            ],
        )
    ]
