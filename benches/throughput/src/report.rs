//! The run as a page to read and as data.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::idle::PerCaller;
use crate::scaling::Scaling;

/// One measurement of one proxy.
pub struct Sample {
    pub proxy: String,
    pub case: &'static str,
    /// Of the proxy's process.
    pub cpu_micros: f64,
    pub requests_per_second: f64,
    /// For each request; `None` if they were not counted.
    pub system_calls: Option<f64>,
    /// The share of the connections to the upstream that resumed a TLS session; `None` if each request does not open one.
    pub resumed: Option<f64>,
}

/// Latency in one way, in microseconds.
pub struct Paced {
    pub proxy: String,
    pub way: &'static str,
    pub p50: f64,
    pub p99: f64,
}

/// What 1,000 requests per second take.
pub struct Steady {
    pub proxy: String,
    pub cores: f64,
    /// In KiB.
    pub memory: u64,
}

/// Latency at one connection, in microseconds.
pub struct Latency {
    pub proxy: String,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// In KiB.
pub struct Memory {
    pub proxy: String,
    pub idle: u64,
    pub per_caller: PerCaller,
    pub after_load: u64,
    /// With ten thousand connections of callers.
    pub ten_thousand: Option<u64>,
}

/// All of a run.
pub struct Run {
    pub proxies: Vec<(String, String)>,
    pub cases: Vec<&'static str>,
    pub rounds: usize,
    pub samples: Vec<Sample>,
    pub latencies: Vec<Latency>,
    pub paced: Vec<Paced>,
    pub steady: Vec<Steady>,
    pub memory: Vec<Memory>,
    /// Milliseconds to the first answer.
    pub starts: HashMap<String, f64>,
    pub scaling: Vec<Scaling>,
}

pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Run {
    /// The median over all rounds.
    pub fn cpu(&self, proxy: &str, case: &str) -> Option<f64> {
        median(self.of(proxy, case).map(|sample| sample.cpu_micros))
    }

    fn of<'a>(&'a self, proxy: &'a str, case: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.proxy == proxy && sample.case == case)
    }

    /// As Markdown.
    pub fn page(&self) -> String {
        let mut page = String::new();
        let _ = writeln!(page, "# Sidekey beside other proxies\n");
        for (key, value) in machine() {
            let _ = writeln!(page, "- {key}: {value}");
        }
        let versions: Vec<_> =
            self.proxies.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let _ = writeln!(page, "- versions: {}\n- rounds: {}, medians\n", versions.join(", "), self.rounds);

        let names: Vec<&str> = self.proxies.iter().map(|(name, _)| name.as_str()).collect();
        self.table(&mut page, "CPU µs per request", &names, |proxy, case| self.cpu(proxy, case), 1);
        self.ratios(&mut page);
        let rate =
            |proxy: &str, case: &str| median(self.of(proxy, case).map(|sample| sample.requests_per_second));
        self.table(&mut page, "Requests per second, on the one core that the proxy has", &names, rate, 0);

        let calls = |proxy: &str, case: &str| self.of(proxy, case).find_map(|sample| sample.system_calls);
        self.table(&mut page, "System calls per request", &names, calls, 2);
        let resumed = |proxy: &str, case: &str| {
            median(self.of(proxy, case).filter_map(|sample| sample.resumed)).map(|share| 100.0 * share)
        };
        self.table(
            &mut page,
            "Connections to the upstream that resumed a TLS session, %",
            &names,
            resumed,
            1,
        );

        self.latency(&mut page);
        self.paced(&mut page);
        self.steady(&mut page);
        self.memory(&mut page);
        self.starts(&mut page, &names);
        self.scaling(&mut page);
        page
    }

    fn starts(&self, page: &mut String, names: &[&str]) {
        if self.starts.is_empty() {
            return;
        }
        let cell = |name: &&str| self.starts.get(*name).map_or_else(String::new, |ms| format!("{ms:.0}"));
        let cells: Vec<_> = names.iter().map(cell).collect();
        let columns = "|---".repeat(names.len());
        let _ = writeln!(
            page,
            "## From start to the first answer, ms\n\n| {} |\n{columns}|\n| {} |",
            names.join(" | "),
            cells.join(" | ")
        );
        page.push('\n');
    }

    fn scaling(&self, page: &mut String) {
        if self.scaling.is_empty() {
            return;
        }
        let _ = writeln!(
            page,
            "## Sidekey's workers, GET 1 KB; load and upstream on the same two cores\n\n| workers | CPU µs per request | requests per second |\n|---|---|---|"
        );
        for Scaling { workers, cpu_micros, requests_per_second } in &self.scaling {
            let _ = writeln!(page, "| {workers} | {cpu_micros:.1} | {requests_per_second:.0} |");
        }
        page.push('\n');
    }

    fn latency(&self, page: &mut String) {
        if self.latencies.is_empty() {
            return;
        }
        let _ =
            writeln!(page, "## One connection, GET 1 KB: µs\n\n| | p50 | p99 | p99.9 |\n|---|---|---|---|");
        for Latency { proxy, p50, p99, p999 } in &self.latencies {
            let _ = writeln!(page, "| {proxy} | {p50:.1} | {p99:.1} | {p999:.1} |");
        }
        page.push('\n');
    }

    fn paced(&self, page: &mut String) {
        if self.paced.is_empty() {
            return;
        }
        let _ =
            writeln!(page, "## Several connections, GET 1 KB: µs\n\n| | | p50 | p99 |\n|---|---|---|---|");
        for Paced { proxy, way, p50, p99 } in &self.paced {
            let _ = writeln!(page, "| {way} | {proxy} | {p50:.0} | {p99:.0} |");
        }
        page.push('\n');
    }

    fn steady(&self, page: &mut String) {
        if self.steady.is_empty() {
            return;
        }
        let _ = writeln!(
            page,
            "## 1,000 requests of 1 KB per second, 16 connections, upstream over TLS\n\n| | cores | memory, MiB |\n|---|---|---|"
        );
        for Steady { proxy, cores, memory } in &self.steady {
            let _ = writeln!(page, "| {proxy} | {cores:.4} | {:.1} |", *memory as f64 / 1024.0);
        }
        page.push('\n');
    }

    fn memory(&self, page: &mut String) {
        if self.memory.is_empty() {
            return;
        }
        let _ = writeln!(
            page,
            "## Memory (proportional set)\n\n| | idle, MiB | for each idle caller, KiB | with TLS, KiB | in HTTP/2, KiB | after load, MiB | then with 10,000 connections, MiB |\n|---|---|---|---|---|---|---|"
        );
        let mib = |kib: u64| kib as f64 / 1024.0;
        for Memory { proxy, idle, per_caller, after_load, ten_thousand } in &self.memory {
            let (idle, after_load) = (mib(*idle), mib(*after_load));
            let many = ten_thousand.map_or_else(String::new, |kib| format!("{:.1}", mib(kib)));
            let cell = |kib: Option<f64>| kib.map_or_else(String::new, |kib| format!("{kib:.1}"));
            let [plain, tls, http2] = [Some(per_caller.plain), per_caller.tls, per_caller.http2].map(cell);
            let _ = writeln!(
                page,
                "| {proxy} | {idle:.1} | {plain} | {tls} | {http2} | {after_load:.1} | {many} |"
            );
        }
        page.push('\n');
    }

    fn table(
        &self,
        page: &mut String,
        title: &str,
        names: &[&str],
        value: impl Fn(&str, &str) -> Option<f64>,
        digits: usize,
    ) {
        let _ =
            writeln!(page, "## {title}\n\n| | {} |\n|---{}|", names.join(" | "), "|---".repeat(names.len()));
        for case in &self.cases {
            let cell =
                |name: &&str| value(name, case).map_or_else(String::new, |value| format!("{value:.digits$}"));
            let _ = writeln!(page, "| {case} | {} |", names.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        page.push('\n');
    }

    /// Sidekey's CPU over that of others.
    fn ratios(&self, page: &mut String) {
        let groups: [(&str, &[&str]); 5] = [
            ("better of nginx and haproxy", &["nginx", "haproxy"]),
            ("hyper", &["hyper"]),
            ("pingora", &["pingora"]),
            ("envoy", &["envoy"]),
            ("caddy", &["caddy"]),
        ];
        let is_there = |name: &&str| self.proxies.iter().any(|(own, _)| own == name);
        let groups: Vec<_> = groups.into_iter().filter(|(_, names)| names.iter().any(&is_there)).collect();
        let titles: Vec<_> = groups.iter().map(|(title, _)| *title).collect();
        self.table(
            page,
            "Sidekey's CPU as a part of that of",
            &titles,
            |title, case| {
                let (_, names) = groups.iter().find(|(own, _)| *own == title)?;
                let best = names.iter().filter_map(|name| self.cpu(name, case)).min_by(f64::total_cmp)?;
                Some(self.cpu("sidekey", case)? / best)
            },
            2,
        );
    }

    /// Every measurement, for programs.
    pub fn data(&self) -> Value {
        let samples = self.samples.iter().map(|sample| {
            json!({
                "proxy": sample.proxy, "case": sample.case,
                "cpu_micros": sample.cpu_micros, "requests_per_second": sample.requests_per_second,
                "system_calls": sample.system_calls, "resumed": sample.resumed,
            })
        });
        let latencies = self.latencies.iter().map(
            |Latency { proxy, p50, p99, p999 }| json!({ "proxy": proxy, "p50_micros": p50, "p99_micros": p99, "p999_micros": p999 }),
        );
        let memory = self.memory.iter().map(|memory| {
            json!({
                "proxy": memory.proxy, "idle_kib": memory.idle,
                "per_idle_caller_kib": memory.per_caller.plain, "per_idle_caller_tls_kib": memory.per_caller.tls,
                "per_idle_caller_http2_kib": memory.per_caller.http2, "after_load_kib": memory.after_load,
                "ten_thousand_connections_kib": memory.ten_thousand,
            })
        });
        let scaling = self.scaling.iter().map(|Scaling { workers, cpu_micros, requests_per_second }| {
            json!({ "workers": workers, "cpu_micros": cpu_micros, "requests_per_second": requests_per_second })
        });
        let paced = self.paced.iter().map(
            |Paced { proxy, way, p50, p99 }| json!({ "proxy": proxy, "way": way, "p50_micros": p50, "p99_micros": p99 }),
        );
        let steady = self.steady.iter().map(
            |Steady { proxy, cores, memory }| json!({ "proxy": proxy, "cores": cores, "memory_kib": memory }),
        );
        json!({
            "machine": machine().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "versions": self.proxies.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "rounds": self.rounds,
            "samples": samples.collect::<Vec<_>>(),
            "latencies": latencies.collect::<Vec<_>>(),
            "paced": paced.collect::<Vec<_>>(),
            "steady": steady.collect::<Vec<_>>(),
            "memory": memory.collect::<Vec<_>>(),
            "scaling": scaling.collect::<Vec<_>>(),
            "start_millis": self.starts.iter().collect::<std::collections::BTreeMap<_, _>>(),
        })
    }
}

fn machine() -> Vec<(&'static str, String)> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let models = || cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    vec![
        ("date", said("date", &["-u", "+%F %H:%M UTC"])),
        ("machine", format!("{} × {}", models().count(), models().next().unwrap_or("unknown"))),
        ("kernel", said("uname", &["-sr"])),
        // Loopback has it as well: one that paces what is sent decides how many parts a large body comes in.
        ("congestion control of TCP", read("/proc/sys/net/ipv4/tcp_congestion_control")),
        ("load average at the end", read("/proc/loadavg")),
        ("revision", said("git", &["describe", "--always", "--dirty"])),
    ]
}
