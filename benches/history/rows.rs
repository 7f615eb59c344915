//! Plain rows in SQLite, as one would write it on an afternoon.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use telemetry::Point;

use crate::data::Fleet;
use crate::engine::{Engine, Query};
use crate::http::bytes_below;
use crate::process;

pub(crate) struct Rows {
    folder: PathBuf,
    connection: Connection,
}

impl Rows {
    pub(crate) fn open(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("the folder is ours");
        let connection = Connection::open(folder.join("rows.db")).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
                 CREATE TABLE point (series INTEGER, time INTEGER, value REAL, quality INTEGER,
                                     PRIMARY KEY (series, time)) WITHOUT ROWID;",
            )
            .expect("an empty database");
        Self {
            folder: folder.to_owned(),
            connection,
        }
    }

    fn count(&self, sql: &str, parameters: impl rusqlite::Params) -> usize {
        let mut statement = self.connection.prepare_cached(sql).expect("sound SQL");
        let mut rows = statement.query(parameters).expect("an answer");
        let mut count = 0;
        while let Some(row) = rows.next().expect("a row") {
            std::hint::black_box(row.get::<_, f64>(1).expect("a number"));
            count += 1;
        }
        count
    }
}

impl Engine for Rows {
    fn name(&self) -> String {
        "SQLite rows".to_owned()
    }

    fn promise(&self) -> String {
        "in this process; each batch a transaction, fsynced (WAL, synchronous = FULL); a row a point"
            .to_owned()
    }

    fn prepare(&self, _: &Fleet, _: &[Point]) -> Vec<u8> {
        Vec::new()
    }

    fn append(&mut self, batch: &[Point], _: Vec<u8>) {
        let transaction = self.connection.transaction().expect("nobody else writes");
        {
            let mut insert = transaction
                .prepare_cached("INSERT OR REPLACE INTO point VALUES (?1, ?2, ?3, ?4)")
                .expect("sound SQL");
            for point in batch {
                let (sample, quality) = (point.sample, 0);
                insert
                    .execute(params![
                        point.series.0,
                        sample.time.millis(),
                        sample.value,
                        quality
                    ])
                    .expect("the disk has room");
            }
        }
        transaction.commit().expect("the disk has room");
    }

    fn settle(&mut self) {
        (self.connection)
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
            .expect("the disk has room");
    }

    fn bytes(&self) -> u64 {
        bytes_below(&self.folder)
    }

    fn cost(&self) -> (f64, f64) {
        process::cost(std::process::id())
    }

    fn ask(&mut self, _: &Fleet, query: &Query) -> usize {
        let range = "SELECT time, value FROM point WHERE series = ?1 AND time >= ?2 AND time < ?3";
        match query {
            Query::Range(series, from, to) => self.count(range, params![series, from, to]),
            Query::Many(series, from, to) => {
                let one = |series: &u32| self.count(range, params![series, from, to]);
                series.iter().map(one).sum()
            }
            // Loose: one seek a series, as SQLite does best.
            Query::Latest => self.count(
                "WITH RECURSIVE s(n) AS (SELECT min(series) FROM point UNION ALL
                   SELECT (SELECT min(series) FROM point WHERE series > n) FROM s WHERE n IS NOT NULL)
                 SELECT n, (SELECT value FROM point WHERE series = n ORDER BY time DESC LIMIT 1) FROM s WHERE n IS NOT NULL",
                [],
            ),
            Query::Days(series, from, to) => self.count(
                "SELECT time / 86400000, min(value), max(value), sum(value), count(*) FROM point
                 WHERE series = ?1 AND time >= ?2 AND time < ?3 GROUP BY 1",
                params![series, from, to],
            ),
        }
    }
}
