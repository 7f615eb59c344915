"""DuckDB for `cargo bench --bench history`: appends, checkpoints, asks; prints one JSON object."""

import json
import os
import resource
import sys
import time

import duckdb
import numpy

folder, batch = sys.argv[1], int(sys.argv[2])
rows = numpy.fromfile(
    os.path.join(folder, "points"), dtype=[("time", "<i8"), ("value", "<f8"), ("series", "<u4")]
)
os.mkdir(os.path.join(folder, "db"))
db = duckdb.connect(os.path.join(folder, "db", "points.duckdb"))
db.execute("CREATE TABLE point (series UINTEGER, time BIGINT, value DOUBLE)")
cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
begun = time.perf_counter()
for at in range(0, len(rows), batch):
    part = rows[at : at + batch]
    columns = {name: numpy.ascontiguousarray(part[name]) for name in ("series", "time", "value")}
    db.execute("INSERT INTO point SELECT series, time, value FROM columns")
append_s = time.perf_counter() - begun
begun = time.perf_counter()
db.execute("CHECKPOINT")
settle_s = time.perf_counter() - begun
cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu
with open("/proc/self/status", encoding="ascii") as status:
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
queries = []
with open(os.path.join(folder, "questions.json"), encoding="utf-8") as file:
    for kind in json.load(file):
        took, count = [], 0
        for sql in kind:
            begun = time.perf_counter()
            answer = db.execute(sql).fetchnumpy()
            took.append((time.perf_counter() - begun) * 1000)
            count = max(count, len(next(iter(answer.values()))))
        took.sort()
        last = len(took) - 1
        queries.append([took[round(last * 0.5)], took[round(last * 0.99)], count])
json.dump(
    {
        "append_s": append_s,
        "settle_s": settle_s,
        "cpu_s": cpu,
        "memory_mib": memory / 1024,
        "queries": queries,
    },
    sys.stdout,
)
