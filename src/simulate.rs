//! `townwatch simulate`: a county of devices against any server; also the child of `demo`.

mod orders;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use device_simulators::{Bound, County, Fault, Progress, RunConfig, Scenario, Simulator, Wire};
use telemetry::registry::Registry;
use telemetry::time::{ScaledClock, Span, SystemClock};
use telemetry::{Clock, Timestamp, with_causes};
use tokio_util::sync::CancellationToken;

use crate::arguments::{CountySize, ModbusWire, Simulate};
use crate::exit::Failure;
use crate::stop;
use orders::{Order, Orders};

pub(crate) use orders::{RUN, Report};

/// Runs the county until it is told to stop.
pub(crate) async fn run(options: Simulate) -> Result<ExitCode, Failure> {
    let faults = parse_faults(&options.faults)?;
    let scenario = match &options.scenario {
        Some(file) => Some(read_scenario(file)?),
        None if options.usual_faults => {
            let usual = Scenario::demo();
            Some(usual.map_err(|error| Failure::other("the built-in scenario is wrong", error))?)
        }
        None => None,
    };
    let county = Arc::new(County::generate(size(options.county), options.seed));
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let bound = Simulator::bind(county, wire(options.modbus_wire), local, options.modbus_port)
        .await
        .map_err(|error| Failure::other("the simulated Modbus devices cannot listen", error))?;
    let clock = clock(&options);
    let registry = bound
        .county()
        .registry(bound.addresses(), clock.now())
        .map_err(|error| Failure::other("the county cannot be registered", error))?;
    if let Some(file) = &options.registry_out {
        write_registry(file, &registry)?;
    }
    let history = (options.history > Span::ZERO).then_some(options.history);
    let config = RunConfig {
        mqtt: options.mqtt,
        history,
        faults,
        scenario,
    };
    if options.child {
        as_child(bound, config, clock, registry).await
    } else {
        by_itself(bound, config, clock).await
    }
}

/// Reads the texts of faults.
pub(crate) fn parse_faults(texts: &[String]) -> Result<Vec<Fault>, Failure> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error| Failure::Input(format!("--fault {text}: {error}")))
    };
    texts.iter().map(parse).collect()
}

/// The simulators' name of a size.
pub(crate) const fn size(size: CountySize) -> device_simulators::CountySize {
    match size {
        CountySize::Small => device_simulators::CountySize::Small,
        CountySize::Model => device_simulators::CountySize::Model,
    }
}

/// The simulators' name of a way.
const fn wire(wire: ModbusWire) -> Wire {
    match wire {
        ModbusWire::Tcp => Wire::Tcp,
        ModbusWire::RtuOverTcp => Wire::RtuOverTcp,
        ModbusWire::Rtu => Wire::Rtu,
    }
}

fn read_scenario(file: &Path) -> Result<Scenario, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Input(format!("the scenario {shown} cannot be read: {error}")))?;
    Scenario::parse(&text)
        .map_err(|error| Failure::Input(format!("the scenario {shown}: {}", with_causes(&error))))
}

fn clock(options: &Simulate) -> Arc<dyn Clock> {
    match (options.base, options.origin) {
        (Some(base), Some(origin)) => {
            let at = Timestamp::from_millis;
            Arc::new(ScaledClock::new(at(base), at(origin), options.speed))
        }
        _ if options.speed == 1 => Arc::new(SystemClock::new()),
        _ => {
            let now = SystemClock::new().now();
            Arc::new(ScaledClock::new(now, now, options.speed))
        }
    }
}

/// Writes beside and renames, so that a reader never sees half a file.
fn write_registry(file: &Path, registry: &Registry) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Input(format!(
            "the registry cannot be written to {}: {error}",
            file.display()
        ))
    };
    let text = serde_json::to_vec_pretty(registry).map_err(|error| failed(error.into()))?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, file).map_err(failed)
}

async fn by_itself(bound: Bound, config: RunConfig, clock: Arc<dyn Clock>) -> Result<ExitCode, Failure> {
    let cancel = CancellationToken::new();
    let faults = bound.faults();
    let mut orders = Orders::from_standard_input();
    let asked = cancel.clone();
    let at = Arc::clone(&clock);
    let listener = tokio::spawn(async move {
        let mut typed = true;
        loop {
            tokio::select! {
                order = orders.next(), if typed => match order {
                    Some(Order::Fault(text)) => play(&faults, &text, at.now()),
                    Some(Order::Run { .. }) => {}
                    None => typed = false,
                },
                result = stop::asked() => {
                    asked.cancel();
                    return result;
                }
            }
        }
    });
    let end = bound
        .run(config, clock, |_| {}, cancel)
        .await
        .map_err(|error| Failure::Input(with_causes(&error)))?;
    listener
        .await
        .map_err(|error| Failure::other("cannot wait for signals", error))??;
    say(&format!(
        "{} records reported, {} acknowledged",
        end.live_sent, end.live_acked
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn play(faults: &device_simulators::FaultSender, text: &str, now: Timestamp) {
    let answer = text.parse::<Fault>().and_then(|fault| faults.send(&fault, now));
    let line = match answer {
        Ok(device) => format!("fault {text}: {device}"),
        Err(error) => format!("fault {text}: {error}"),
    };
    // Nobody is left to read it when standard error is closed; the fault is played nevertheless.
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// The child of `demo`: says the registry, waits for the order to run, reports progress, and stops when its
/// standard input is closed, however its parent ends.
async fn as_child(
    bound: Bound,
    mut config: RunConfig,
    clock: Arc<dyn Clock>,
    registry: Registry,
) -> Result<ExitCode, Failure> {
    Report::Registry(registry).say()?;
    let mut orders = Orders::from_standard_input();
    let Some(Order::Run { mqtt, history }) = orders.next().await else {
        return Ok(ExitCode::SUCCESS);
    };
    config.mqtt = mqtt;
    config.history = (history > Span::ZERO).then_some(history);
    let cancel = CancellationToken::new();
    let asked = cancel.clone();
    let faults = bound.faults();
    let at = Arc::clone(&clock);
    let listener = tokio::spawn(async move {
        while let Some(order) = orders.next().await {
            if let Order::Fault(text) = order {
                play(&faults, &text, at.now());
            }
        }
        asked.cancel();
    });
    let mut last = Progress::default();
    let report = |progress: Progress| {
        if progress != last {
            last = progress;
            // The parent is gone when this fails; then standard input ends too.
            let _gone = Report::from(progress).say();
        }
    };
    bound
        .run(config, clock, report, cancel)
        .await
        .map_err(|error| Failure::Input(with_causes(&error)))?;
    listener.abort();
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}")
        .map_err(|error| Failure::other("cannot write to standard output", error))
}
