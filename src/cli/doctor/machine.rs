//! The machine: memory, clocks, heat, the governor of its clock. Everything is read below a root folder, so that it is
//! tested on made-up boards.

use super::Finding;
use crate::clock::wall_unix_us;
use crate::health::board::Board;
use std::path::Path;

/// Memory that should be free before a start, in MiB: the networks and the pictures of a run, with room to spare.
const ENOUGH_MIB: u64 = 200;
/// The start of 2026 in seconds since 1970: a wall clock before this has not been set.
const BUILT_AFTER: i64 = 1_767_225_600;
/// Temperature from which the cooling should be looked at, in degrees Celsius.
const WARM_C: f32 = 70.0;

/// Looks at the machine whose root folder is `root`.
pub fn look(root: &Path) -> Vec<Finding> {
    [board(root), memory(root), wall_clock(wall_unix_us() / 1_000_000), rtc(root), heat(root), governor(root)].into()
}

fn read(root: &Path, path: &str) -> Option<String> {
    let text = std::fs::read_to_string(root.join(path)).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_string())
}

fn board(root: &Path) -> Finding {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read(root, "proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown kernel".into());
    let model = read(root, "proc/device-tree/model").or_else(|| read(root, "sys/class/dmi/id/product_name"));
    let model = model.unwrap_or_else(|| "unknown machine".into());
    Finding::good("machine", format!("{model}, {}, {cores} cores, Linux {kernel}", std::env::consts::ARCH))
}

fn memory(root: &Path) -> Finding {
    let text = read(root, "proc/meminfo").unwrap_or_default();
    let mib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
    };
    match (mib("MemAvailable:"), mib("MemTotal:")) {
        (Some(free), Some(all)) if free >= ENOUGH_MIB => {
            Finding::good("memory", format!("{free} of {all} MiB available"))
        }
        (Some(free), Some(all)) => Finding::doubtful(
            "memory",
            format!("{free} of {all} MiB available"),
            format!("end other programs or add swap: {ENOUGH_MIB} MiB should be free"),
        ),
        _ => Finding::unknown("memory", "the kernel does not tell"),
    }
}

fn wall_clock(unix_s: i64) -> Finding {
    let date = jiff::Timestamp::from_second(unix_s).map_or_else(|_| "no date".into(), |t| t.to_string());
    if unix_s >= BUILT_AFTER {
        return Finding::good("wall clock", date);
    }
    Finding::doubtful(
        "wall clock",
        format!("{date}: it has not been set"),
        "connect it to a time server (timedatectl status) or set it; times of events would be wrong, durations not",
    )
}

fn rtc(root: &Path) -> Finding {
    match read(root, "sys/class/rtc/rtc0/name") {
        Some(name) => Finding::good("hardware clock", name),
        None => Finding::doubtful(
            "hardware clock",
            "none: the wall clock jumps when the time server is met",
            "nothing has to be done for durations; for right times after a cold start add a clock or wait for the time server",
        ),
    }
}

fn heat(root: &Path) -> Finding {
    let state = Board::at(root.join("sys")).read();
    let Some(celsius) = state.temperature_c else {
        return Finding::unknown("heat", "no temperature is shown");
    };
    let text = format!("{celsius:.0} degrees C");
    if state.under_voltage == Some(true) {
        return Finding::doubtful("heat", format!("{text}, supply too weak"), "a stronger supply, a shorter cable");
    }
    if state.throttled == Some(true) || celsius >= WARM_C {
        let slowed = if state.throttled == Some(true) { ", clock lowered" } else { "" };
        return Finding::doubtful("heat", format!("{text}{slowed}"), "a heat sink or fan, or less frames per second");
    }
    Finding::good("heat", text)
}

fn governor(root: &Path) -> Finding {
    match read(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        Some(name) if name == "powersave" && !root.join("sys/devices/system/cpu/intel_pstate").exists() => {
            Finding::doubtful(
                "clock speed",
                "powersave: the slowest clock at all times",
                "echo schedutil | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
            )
        }
        Some(name) => Finding::good("clock speed", format!("governor {name}")),
        None => Finding::unknown("clock speed", "no governor is shown"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Verdict;
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn verdicts(root: &Path) -> Vec<(&'static str, Verdict)> {
        look(root).into_iter().map(|f| (f.check, f.verdict)).collect()
    }

    #[test]
    fn a_good_board_is_found_good_and_a_bad_one_has_a_mend_for_each_doubt() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0");
        put(root, "proc/meminfo", "MemTotal:  4000000 kB\nMemAvailable:  3000000 kB\n");
        put(root, "sys/class/rtc/rtc0/name", "rpi-rtc\n");
        put(root, "sys/class/thermal/thermal_zone0/temp", "48000\n");
        put(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "0\n");
        put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n");
        assert!(verdicts(root).iter().all(|(_, v)| *v == Verdict::Good), "{:?}", look(root));
        assert!(look(root)[0].found.starts_with("Raspberry Pi 5 Model B Rev 1.0, "));

        put(root, "proc/meminfo", "MemTotal:  400000 kB\nMemAvailable:  30000 kB\n");
        std::fs::remove_dir_all(root.join("sys/class/rtc")).unwrap();
        put(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
        put(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
        let doubts: Vec<_> = look(root).into_iter().filter(|f| f.verdict == Verdict::Doubtful).collect();
        assert_eq!(
            doubts.iter().map(|f| f.check).collect::<Vec<_>>(),
            ["memory", "hardware clock", "heat", "clock speed"]
        );
        assert!(doubts.iter().all(|f| f.mend.is_some()));
    }

    #[test]
    fn what_the_system_does_not_tell_is_not_known() {
        let found = verdicts(Path::new("/nonexistent"));
        assert!(found.contains(&("memory", Verdict::Unknown)) && found.contains(&("heat", Verdict::Unknown)));
    }

    #[test]
    fn a_clock_at_its_birth_is_doubted() {
        assert_eq!(wall_clock(0).verdict, Verdict::Doubtful);
        assert_eq!(wall_clock(BUILT_AFTER).verdict, Verdict::Good);
    }
}
