//! Exports of a running server: the points that its pages are made of, as files.

use std::io::{self, Write};
use std::sync::Arc;

use dashboards::exporter::{ExportForm, ExportJob, ExportOrder, Exporter};
use store::series::{Cancel, SeriesReader, Sinks};
use telemetry::Catalogue;

use super::feed::Feed;
use super::folder::Named;
use super::selection::select;
use super::table::{Csv, Parquet, Table};

/// Knows what there is, and reads it where the pages do.
pub(crate) struct ExportDesk {
    pub catalogue: Arc<Catalogue>,
    pub series: Arc<dyn SeriesReader>,
}

impl ExportDesk {
    /// Every series, in order of device and signal.
    fn all(&self) -> Vec<Named> {
        let devices = self.catalogue.devices().iter();
        let mut all: Vec<Named> = devices
            .flat_map(|entry| {
                let signals = entry.profile.signals.iter().zip(&entry.series);
                signals.map(|(signal, id)| Named {
                    id: *id,
                    device: entry.device.id.to_string(),
                    signal: signal.name.to_string(),
                    unit: signal.unit.to_string(),
                })
            })
            .collect();
        all.sort_unstable_by(|a, b| (&a.device, &a.signal).cmp(&(&b.device, &b.signal)));
        all
    }
}

impl Exporter for ExportDesk {
    fn plan(&self, order: ExportOrder) -> Result<ExportJob, String> {
        let series = select(&order.series, self.all())?;
        let reader = Arc::clone(&self.series);
        Ok(Box::new(move |to, cancel| {
            write(&*reader, &series, &order, to, cancel)
        }))
    }
}

fn write(
    reader: &dyn SeriesReader,
    series: &[Named],
    order: &ExportOrder,
    to: &mut (dyn Write + Send),
    cancel: &Cancel,
) -> io::Result<()> {
    let mut table: Box<dyn Table + '_> = match order.form {
        ExportForm::Csv => Box::new(Csv::new(to)?),
        ExportForm::Parquet => Box::new(Parquet::new(to)?),
    };
    let mut feed = Feed::new(series, &mut *table, |_, _| ());
    let mut outcome = Ok(());
    for (place, named) in series.iter().enumerate() {
        if let Some(sink) = feed.sink(place) {
            outcome = reader.scan(named.id, order.from, order.to, cancel, sink);
        }
        if outcome.is_err() || feed.failed.is_some() {
            break;
        }
    }
    if let Some(error) = feed.failed {
        return Err(error);
    }
    outcome.map_err(io::Error::other)?;
    table.finish()
}
