//! What a process costs, by the kernel's own account: CPU time and memory, its children's included.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// CPU time of all threads since they started. Precise to the nanosecond, unlike the clock ticks of `stat`.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for pid in family(pid)? {
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split(' ').next().context("schedstat is empty")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Proportional set size in KiB: pages shared with others count in part.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    let mut kib = 0;
    for pid in family(pid)? {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .context("reading the memory of Sidekey needs root (`hardening`)")?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        kib += line.trim().trim_end_matches(" kB").parse::<u64>()?;
    }
    Ok(kib)
}

/// A process and its children.
pub fn family(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut all = vec![pid];
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(other) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(Path::new("/proc").join(name).join("stat")) else { continue };
        // The name, in parentheses, may hold anything; state and parent come after it.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(pid) {
            all.push(other);
        }
    }
    Ok(all)
}
