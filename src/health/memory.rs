//! Resident memory of this process, as the kernel counts it.

/// Resident set size now and at its highest, in KiB; `None` where the kernel does not tell.
pub fn resident_kib() -> Option<(u64, u64)> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read_and_anything_else_is_refused() {
        assert_eq!(parse("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"), Some((1024, 2048)));
        assert_eq!(parse("VmRSS: many"), None);
        assert!(resident_kib().is_none_or(|(now, top)| now <= top));
    }
}
