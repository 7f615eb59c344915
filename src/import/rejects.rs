//! The lines that did not go in, kept with their reasons so that they can be mended and imported again.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

/// Reasons that are named on standard error; the file has them all.
const SHOWN: u64 = 20;

/// The rejects of one file. Its own file is made with the first of them.
pub(super) struct Rejects {
    path: PathBuf,
    /// The header of a CSV file.
    header: Option<ByteRecord>,
    /// None: nothing is written.
    writes: bool,
    file: Option<csv::Writer<BufWriter<File>>>,
    pub(super) count: u64,
}

impl Rejects {
    pub(super) fn new(path: PathBuf, header: Option<ByteRecord>, writes: bool) -> Self {
        Self {
            path,
            header,
            writes,
            file: None,
            count: 0,
        }
    }

    /// Where they are; none without any.
    pub(super) fn path(&self) -> Option<&Path> {
        (self.writes && self.count > 0).then_some(&self.path)
    }

    /// Keeps a line. `place` is its file and number.
    pub(super) fn keep(&mut self, place: &str, why: &str, cells: &ByteRecord) -> io::Result<()> {
        self.count += 1;
        self.tell(place, why);
        if !self.writes {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let to = BufWriter::new(File::create(&self.path)?);
                let mut file = csv::WriterBuilder::new().flexible(true).from_writer(to);
                if let Some(header) = &self.header {
                    let known = header.iter().filter(|name| *name != b"why");
                    file.write_record(known.chain([&b"why"[..]]))?;
                }
                self.file.insert(file)
            }
        };
        if self.header.is_some() {
            let width = self.width();
            let file = self
                .file
                .as_mut()
                .ok_or_else(|| io::Error::other("no rejects file"))?;
            let padded = cells
                .iter()
                .chain(std::iter::repeat(&b""[..]))
                .take(width.max(cells.len()));
            let reason = format!("{place}: {why}");
            return Ok(file.write_record(padded.chain([reason.as_bytes()]))?);
        }
        // Line protocol: the reason as a comment, then the line as it was.
        file.flush()?;
        let mut bytes = format!("# {place}: {why}\n").into_bytes();
        bytes.extend_from_slice(cells.get(0).unwrap_or_default());
        bytes.push(b'\n');
        file.get_ref().get_ref().write_all(&bytes)
    }

    fn width(&self) -> usize {
        let header = self.header.iter().flat_map(|header| header.iter());
        header.filter(|name| *name != b"why").count()
    }

    fn tell(&self, place: &str, why: &str) {
        if self.count <= SHOWN {
            // Who closes standard error does not want to know.
            let _closed = writeln!(io::stderr(), "{place}: {why}");
        }
    }

    /// Everything is on the disk afterwards.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.count > SHOWN {
            let _closed = writeln!(io::stderr(), "and {} more lines", self.count - SHOWN);
        }
        match &mut self.file {
            None => Ok(()),
            Some(file) => {
                file.flush()?;
                file.get_ref().get_ref().sync_all()
            }
        }
    }
}
