"""read_parquet.py FILE: what DuckDB and pandas (both PyPI) read in a Parquet file, each as one line of JSON."""

import json
import sys

import duckdb
import pandas

path = sys.argv[1]

duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")
rows = duck.execute(
    """
    SELECT device, signal, unit, count(*), count(value), sum(value), epoch_ms(min(time)), epoch_ms(max(time)),
           count(*) FILTER (quality = 'good')
    FROM read_parquet(?) GROUP BY ALL ORDER BY ALL
    """,
    [path],
).fetchall()
groups = duck.execute("SELECT count(DISTINCT row_group_id) FROM parquet_metadata(?)", [path]).fetchone()
print(json.dumps({"groups": groups[0], "series": rows}))

frame = pandas.read_parquet(path)
assert str(frame["time"].dtype).startswith("datetime64[ms, UTC"), frame["time"].dtype
# Milliseconds since 1970, whatever unit pandas keeps times in.
frame["ms"] = (frame["time"] - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(1, "ms")
found = []
for (device, signal, unit), part in frame.groupby(["device", "signal", "unit"]):
    found.append(
        [
            device,
            signal,
            unit,
            len(part),
            int(part["value"].count()),
            float(part["value"].sum()),
            int(part["ms"].min()),
            int(part["ms"].max()),
            int((part["quality"] == "good").sum()),
        ]
    )
print(json.dumps({"series": found}))
