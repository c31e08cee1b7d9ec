//! The processor: what it has, which of tract's kernels that selects, and what tract has to be told about it.
//!
//! tract 0.23 finds NEON (32-bit ARM) and the core's model (64-bit ARM) in `/proc/cpuinfo` alone. A unit with
//! `ProcSubset=pid` hides that file, and under user-mode emulation it is the host's; a 32-bit board would then silently
//! run without NEON, and a Cortex-A53 or A55 without the kernels tuned for it. The kernel tells every process what its
//! processor has in the auxiliary vector (`/proc/self/auxv`, getauxval(3)) and the model in sysfs, so those are asked.

use std::path::Path;
use std::sync::OnceLock;
use tract_core::knobs::set_config_global;
use tract_core::tract_linalg::{isa, mmm_tiers};

/// `AT_HWCAP` of the auxiliary vector, `<linux/auxvec.h>`.
const AT_HWCAP: u64 = 16;
/// `HWCAP_NEON` of 32-bit ARM, `<asm/hwcap.h>`. A 64-bit kernel sets it for 32-bit programs too.
const HWCAP_NEON: u64 = 1 << 12;

/// Part numbers of ARM's own cores, as in the main identification register and in `/proc/cpuinfo`.
const CORES: [(u64, &str); 15] = [
    (0xb76, "ARM1176"),
    (0xc07, "Cortex-A7"),
    (0xc08, "Cortex-A8"),
    (0xc09, "Cortex-A9"),
    (0xc0f, "Cortex-A15"),
    (0xd03, "Cortex-A53"),
    (0xd04, "Cortex-A35"),
    (0xd05, "Cortex-A55"),
    (0xd07, "Cortex-A57"),
    (0xd08, "Cortex-A72"),
    (0xd09, "Cortex-A73"),
    (0xd0b, "Cortex-A76"),
    (0xd0c, "Neoverse-N1"),
    (0xd41, "Cortex-A78"),
    (0xd42, "Cortex-A78AE"),
];

/// The processor as inference uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpu {
    /// Its name, as far as the kernel tells: `Cortex-A72`, or the model name of a PC.
    pub name: String,
    /// Architecture and features that tract has found: `aarch64,dotprod`.
    pub features: String,
    /// tract's sets of kernels for matrix products, best first: `armv7neon > generic`.
    pub kernels: String,
    /// What tract had to be told, as `KNOB=value, because ...`; nothing on most machines.
    pub told: Vec<String>,
}

impl std::fmt::Display for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}); kernels {}", self.name, self.features, self.kernels)
    }
}

/// Finds out what the processor has, tells tract what it cannot see by itself, and logs both; later calls only return
/// the result. Has to come before the first network is built, because tract asks once.
pub fn prepare() -> &'static Cpu {
    static CPU: OnceLock<Cpu> = OnceLock::new();
    CPU.get_or_init(|| {
        let facts = Facts::read();
        let mut told = Vec::new();
        for hint in facts.hints() {
            match set_config_global(hint.knob, &hint.value) {
                Ok(()) => told.push(format!("{}={}, because {}", hint.knob, hint.value, hint.why)),
                Err(e) => log::warn!("tract does not take {}={}: {e}", hint.knob, hint.value),
            }
        }
        let found = isa::native();
        let tiers = mmm_tiers::for_isa(&found);
        let cpu = Cpu {
            name: facts.name(),
            features: format!("{found:?}"),
            kernels: match tiers.iter().map(|t| t.name).collect::<Vec<_>>().join(" > ") {
                none if none.is_empty() => "generic".to_string(),
                names => names,
            },
            told,
        };
        log::info!("processor {cpu}");
        for told in &cpu.told {
            log::info!("tract was told {told}");
        }
        if facts.arch == "arm" && !found.has(isa::Isa::ArmNeon) {
            log::warn!("no NEON on this processor: the networks run several times slower; use a board with a Cortex-A7 or later");
        }
        cpu
    })
}

/// What the kernel says about the processor.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// `std::env::consts::ARCH`.
    arch: &'static str,
    /// The feature bits of the auxiliary vector.
    hwcap: Option<u64>,
    /// The text of `/proc/cpuinfo`; empty where it is hidden.
    cpuinfo: String,
    /// Main identification register of each core (64-bit ARM).
    midr: Vec<u64>,
}

/// A value for one of tract's knobs. The environment still wins over it.
#[derive(Debug, PartialEq, Eq)]
struct Hint {
    knob: &'static str,
    value: String,
    why: &'static str,
}

impl Facts {
    fn read() -> Self {
        Self {
            arch: std::env::consts::ARCH,
            hwcap: std::fs::read("/proc/self/auxv").ok().and_then(|bytes| auxiliary(&bytes, AT_HWCAP)),
            cpuinfo: std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default(),
            midr: identification(Path::new("/sys/devices/system/cpu")),
        }
    }

    /// What tract would not find out by itself.
    fn hints(&self) -> Vec<Hint> {
        let mut hints = Vec::new();
        match self.arch {
            "arm" => {
                // The same test as tract's.
                let seen = self
                    .cpuinfo
                    .lines()
                    .any(|line| line.starts_with("Features") && (line.contains("neon") || line.contains("asimd")));
                if !seen && self.hwcap.is_some_and(|bits| bits & HWCAP_NEON != 0) {
                    hints.push(Hint {
                        knob: "TRACT_CPU_ARM32_NEON",
                        value: "1".to_string(),
                        why: "/proc/cpuinfo does not tell of NEON, but the kernel does",
                    });
                }
            }
            "aarch64" if self.listed_parts().next().is_none() => {
                // tract takes the highest number where there are cores of two kinds.
                if let Some(part) = self.midr.iter().map(|register| part_of(*register)).max() {
                    hints.push(Hint {
                        knob: "TRACT_CPU_AARCH64_OVERRIDE_CPU_PART",
                        value: format!("{part:#05x}"),
                        why: "/proc/cpuinfo does not tell the core's model, but sysfs does",
                    });
                }
            }
            _ => {}
        }
        hints
    }

    /// Part numbers in `/proc/cpuinfo`.
    fn listed_parts(&self) -> impl Iterator<Item = u64> {
        self.values("CPU part").filter_map(|v| u64::from_str_radix(v.strip_prefix("0x")?, 16).ok())
    }

    fn values(&self, key: &'static str) -> impl Iterator<Item = &str> {
        self.cpuinfo.lines().filter_map(move |line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then_some(value.trim())
        })
    }

    fn name(&self) -> String {
        if self.arch.starts_with("x86") {
            return self.values("model name").next().unwrap_or("unknown processor").to_string();
        }
        let mut parts: Vec<u64> = self.listed_parts().chain(self.midr.iter().map(|r| part_of(*r))).collect();
        parts.sort_unstable();
        parts.dedup();
        let names: Vec<String> = parts
            .iter()
            .map(|part| match CORES.iter().find(|(number, _)| number == part) {
                Some((_, name)) => (*name).to_string(),
                None => format!("part {part:#05x}"),
            })
            .collect();
        if names.is_empty() { "unknown processor".to_string() } else { names.join(" and ") }
    }
}

/// The part number in a main identification register (Arm Architecture Reference Manual, MIDR_EL1, bits 15 to 4).
const fn part_of(register: u64) -> u64 {
    (register >> 4) & 0xfff
}

/// One entry of the auxiliary vector: pairs of machine words, key and value.
fn auxiliary(bytes: &[u8], key: u64) -> Option<u64> {
    let word = |chunk: &[u8]| -> Option<u64> { Some(usize::from_ne_bytes(chunk.try_into().ok()?) as u64) };
    bytes.chunks_exact(2 * size_of::<usize>()).find_map(|entry| {
        let (name, value) = entry.split_at(size_of::<usize>());
        (word(name)? == key).then(|| word(value))?
    })
}

/// The main identification registers under a sysfs folder of processors.
fn identification(folder: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.ok()?.path().join("regs/identification/midr_el1")).ok()?;
            u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn facts(arch: &'static str, hwcap: Option<u64>, cpuinfo: &str, midr: &[u64]) -> Facts {
        Facts { arch, hwcap, cpuinfo: cpuinfo.to_string(), midr: midr.to_vec() }
    }

    #[test]
    fn tract_is_told_of_neon_only_where_it_cannot_see_what_the_kernel_sees() {
        let board = "processor\t: 0\nFeatures\t: half thumb fastmult vfp edsp neon vfpv3\nCPU part\t: 0xc07\n";
        assert_eq!(facts("arm", Some(HWCAP_NEON), board, &[]).hints(), []);
        let compat = "Features\t: fp asimd evtstrm crc32 cpuid\n";
        assert_eq!(facts("arm", Some(HWCAP_NEON), compat, &[]).hints(), []);
        for hidden in ["", "model name\t: Some PC\nflags\t\t: fpu vme neon\n"] {
            let hints = facts("arm", Some(HWCAP_NEON | 1), hidden, &[]).hints();
            assert_eq!(hints.iter().map(|h| h.knob).collect::<Vec<_>>(), ["TRACT_CPU_ARM32_NEON"]);
            assert_eq!(facts("arm", Some(!HWCAP_NEON), hidden, &[]).hints(), [], "a Pi Zero has none");
            assert_eq!(facts("arm", None, hidden, &[]).hints(), []);
            assert_eq!(facts("x86_64", Some(HWCAP_NEON), hidden, &[]).hints(), []);
        }
    }

    #[test]
    fn the_core_comes_from_sysfs_where_cpuinfo_is_hidden() {
        let (a53, a72) = (0x410f_d034, 0x410f_d083);
        let hints = facts("aarch64", None, "", &[a72, a53]).hints();
        assert_eq!(hints.first().map(|h| h.value.as_str()), Some("0xd08"));
        let seen = "CPU part\t: 0xd03\n";
        assert_eq!(facts("aarch64", None, seen, &[a72]).hints(), []);
        assert_eq!(facts("aarch64", None, "", &[]).hints(), []);
    }

    #[test]
    fn processors_have_names() {
        let name = |arch, cpuinfo: &str, midr: &[u64]| facts(arch, None, cpuinfo, midr).name();
        assert_eq!(name("aarch64", "CPU part\t: 0xd08\nCPU part\t: 0xd03\n", &[]), "Cortex-A53 and Cortex-A72");
        assert_eq!(name("aarch64", "", &[0x414f_d0b1]), "Cortex-A76");
        assert_eq!(name("aarch64", "CPU part\t: 0x004\n", &[]), "part 0x004");
        assert_eq!(name("aarch64", "model name\t: Some PC\n", &[]), "unknown processor");
        assert_eq!(name("x86_64", "model name\t: Some PC @ 2 GHz\n", &[]), "Some PC @ 2 GHz");
    }

    #[test]
    fn the_auxiliary_vector_is_read_and_a_broken_one_refused() {
        let words: Vec<u8> = [6_usize, 4096, 16, 0x1234, 0, 0].iter().flat_map(|w| w.to_ne_bytes()).collect();
        assert_eq!(auxiliary(&words, 16), Some(0x1234));
        assert_eq!(auxiliary(&words, 6), Some(4096));
        assert_eq!(auxiliary(&words, 26), None);
        assert_eq!(auxiliary(&words[..3 * size_of::<usize>()], 16), None, "cut off before the value");
        assert_eq!(auxiliary(&[], 16), None);
    }

    #[test]
    fn identification_registers_are_read_from_sysfs() {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("cpu0/regs/identification");
        std::fs::create_dir_all(&core).unwrap();
        std::fs::write(core.join("midr_el1"), "0x00000000410fd083\n").unwrap();
        std::fs::create_dir_all(folder.path().join("cpufreq")).unwrap();
        assert_eq!(identification(folder.path()), [0x410f_d083]);
        assert!(identification(&folder.path().join("none")).is_empty());
    }

    #[test]
    fn this_machine_is_described() {
        let cpu = prepare();
        assert!(cpu.features.starts_with(std::env::consts::ARCH), "{cpu}");
        assert!(!cpu.kernels.is_empty() && std::ptr::eq(cpu, prepare()));
    }
}
