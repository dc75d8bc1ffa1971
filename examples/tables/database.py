"""Writes a CSV of flights into a table of PostgreSQL.

Usage: python database.py URL FILE

Needs SQLAlchemy and psycopg: pip install 'vwlite[sql]' 'psycopg[binary]'
"""

import sys
from typing import Any

import sqlalchemy

COLUMNS = (
    "time_hour timestamptz, carrier text, origin text, dest text, distance real, hour integer, minute integer, "
    "dep_delay real, arr_delay real"
)

url, path = sys.argv[1:]
engine = sqlalchemy.create_engine(url)
connection: Any = engine.raw_connection()
with connection.cursor() as cursor, open(path, encoding="utf-8") as file:
    cursor.execute("DROP TABLE IF EXISTS flights")
    cursor.execute(f"CREATE TABLE flights (place serial, {COLUMNS})")
    names = ", ".join(column.split()[0] for column in COLUMNS.split(", "))
    with cursor.copy(f"COPY flights ({names}) FROM STDIN (FORMAT csv, HEADER)") as copy:
        while chunk := file.read(1 << 20):
            copy.write(chunk)
connection.commit()
connection.close()
engine.dispose()
