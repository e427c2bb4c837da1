"""Imported last by the process that others are forked from: what each of them would do again."""

import gc

from sales_assets.definitions import defs

defs.resolve_job_def("weekly_refresh")
# What is imported stays: a million objects that no collection of a fork need look at.
gc.freeze()
