"""The orders of a shop, fetched every morning and put into a database: extract, transform, load."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefectlite import Flow, Parameter, context, task, unmapped
from prefectlite.schedules import CronSchedule
from prefectlite.triggers import any_failed


def ask(shop, what):
    """Stand in for a request: the shop is a folder, and refuses as often as its file of outages says."""
    outages = Path(shop, f"{what}.outages")
    left = int(outages.read_text()) if outages.exists() else 0
    if left:
        outages.write_text(str(left - 1))
        raise ConnectionError(f"503: no {what} at the moment")
    return json.loads(Path(shop, f"{what}.json").read_text())


@task(max_retries=3, retry_delay=timedelta(milliseconds=20))
def extract_orders(shop, day):
    return ask(shop, "orders")[day or f"{context.scheduled_start_time:%Y-%m-%d}"]


@task(max_retries=3, retry_delay=timedelta(milliseconds=20))
def extract_rates(shop):
    return ask(shop, "rates")


@task(nout=2)
def sort_out(orders):
    good = [order for order in orders if order["amount"] is not None]
    return good, [order["id"] for order in orders if order not in good]


@task
def to_euro(order, rates):
    return order["id"], round(order["amount"] / rates[order["currency"]], 2)


@task(tags=["db"])
def load(rows, database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS sales (id INTEGER PRIMARY KEY, euro REAL)")
        connection.executemany("INSERT OR REPLACE INTO sales VALUES (?, ?)", rows)
    return len(rows)


@task(tags=["db"])
def revenue(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT SUM(euro) FROM sales").fetchone()[0]


@task(trigger=any_failed)
def alarm():
    return "wake somebody up"


schedule = CronSchedule("0 6 * * *", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC))

with Flow("etl", schedule=schedule) as flow:
    shop = Parameter("shop")
    database = Parameter("database")
    orders = extract_orders(shop, Parameter("day", default=None))
    rates = extract_rates(shop)
    good, rejected = sort_out(orders)
    rows = to_euro.map(good, unmapped(rates))
    loaded = load(rows, database)
    total = revenue(database, upstream_tasks=[loaded])
    alarm(upstream_tasks=[orders, rates, loaded])

flow.set_reference_tasks([total])

if __name__ == "__main__":
    flow.run()
