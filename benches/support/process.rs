//! What a process costs, read from outside, and the machine that everything runs on.

/// CPU seconds (user and system) since its start and resident memory in MiB, from `/proc`; 0 when it is gone.
pub(crate) fn cost(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ticks: f64 = (stat.rsplit(')').next().unwrap_or("").split_whitespace())
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = (status.lines())
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .split(' ')
                .next()?
                .parse::<f64>()
                .ok()
        })
        .unwrap_or(0.0);
    (ticks / 100.0, kib / 1024.0)
}

/// Cores and processor, for the head of a table.
pub(crate) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = (cpu.lines().find_map(|line| line.strip_prefix("model name")))
        .unwrap_or("")
        .trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {model}")
}

/// Real time: what a benchmark measures.
pub(crate) fn now() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    std::time::Instant::now()
}
