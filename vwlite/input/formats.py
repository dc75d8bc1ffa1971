"""Options of input in other formats than VW's text."""

from __future__ import annotations

from vwlite.core.options import Option, OptionGroup

OPTIONS = OptionGroup(
    "Tables and records",
    (
        Option(
            "columns_in",
            str,
            "what the columns of a table are: 'price:number city:category user:entity /.*/:ignore'",
            many=True,
            keep=True,
            metavar="MAP",
        ),
        Option("label", str, "the column of the label: NAME, or 'NAME:binary(yes)' and the like", keep=True),
        Option(
            "missing",
            str,
            "'skip' leaves out values that are NaN, NA or null; otherwise they are errors",
            default="error",
            choices=("error", "skip"),
            keep=True,
        ),
    ),
    examples=("vwlite trips.csv --label 'delay:above(15)' --columns_in 'carrier:category dep_time:number /.*/:ignore'",),
)
