use std::io::{ErrorKind, Write};
use std::sync::mpsc::{Sender, channel};

use parking_lot::Mutex;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

fn event(path: &str) -> Event<'_> {
    Event {
        caller: None,
        known_by: "",
        listener: "127.0.0.1:1",
        method: "GET",
        path: Some(path),
        service: "crm",
        refused: None,
        role: None,
        rule: None,
    }
}

fn start(output: impl Write + Send + 'static) -> (AuditLog, AuditMetrics) {
    let metrics = AuditMetrics::new(&Registry::new()).unwrap();
    let config = AuditConfig { path: None, all: true };
    let log = AuditLog::start(&config, Output::File(Box::new(output)), metrics.clone()).unwrap();
    (log, metrics)
}

fn count(metrics: &AuditMetrics, result: &str) -> u64 {
    metrics.0.with_label_values(&[result]).get()
}

/// The paths in what was written; a line that is no event is given as it is.
fn paths(written: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(written).unwrap();
    let path = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(event) => event["path"].as_str().unwrap().to_owned(),
        Err(_) => line.to_owned(),
    };
    text.lines().map(path).collect()
}

/// A destination that says when it is written to, and takes nothing until a gate is opened.
struct Blocked {
    reached: Sender<()>,
    gate: Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.reached.send(());
        // Until the other end is dropped.
        let _ = self.gate.recv();
        self.written.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn full_queue_loses_and_counts_lines_and_nobody_waits() {
    let ((reached, is_reached), (open, gate)) = (channel(), sync_channel(0));
    let written = Arc::new(Mutex::new(Vec::new()));
    let (log, metrics) = start(Blocked { reached, gate, written: written.clone() });
    log.record(&event("/first"));
    is_reached.recv_timeout(LIMIT).unwrap();
    // The thread is inside of the write from here on.
    for number in 0..MAX_QUEUED + 100 {
        log.record(&event(&format!("/{number}")));
    }
    assert_eq!((count(&metrics, "written"), count(&metrics, "lost")), (0, 100));
    log.reopen();
    assert!(log.shared.must_reopen.swap(false, Ordering::AcqRel), "it is not forgotten for want of room");
    log.flush(Duration::ZERO);
    drop(open);
    log.flush(LIMIT);
    assert_eq!((count(&metrics, "written"), count(&metrics, "lost")), (MAX_QUEUED as u64 + 1, 100));
    let expected =
        ["/first".to_owned()].into_iter().chain((0..MAX_QUEUED).map(|number| format!("/{number}")));
    assert!(paths(&written.lock()).into_iter().eq(expected), "other lines, or in another order");
}

/// A destination with room for so many bytes.
struct Full {
    room: Arc<Mutex<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock();
        if *room == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        let length = bytes.len().min(*room);
        *room -= length;
        self.written.lock().extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn line_that_a_full_disk_cuts_is_no_part_of_another_one() {
    let length = event("/1").line(SystemTime::now()).len();
    let (room, written) = (Arc::new(Mutex::new(length + 10)), Arc::new(Mutex::new(Vec::new())));
    let (log, metrics) = start(Full { room: room.clone(), written: written.clone() });
    let record = |path| {
        log.record(&event(path));
        log.flush(LIMIT);
    };
    for path in ["/1", "/2", "/3"] {
        record(path);
    }
    assert_eq!((count(&metrics, "written"), count(&metrics, "lost")), (1, 2));
    // Room for the end of the line that was cut, and for nothing else.
    *room.lock() = 1;
    record("/4");
    *room.lock() = 10 * length;
    record("/5");
    assert_eq!((count(&metrics, "written"), count(&metrics, "lost")), (2, 3));
    let paths = paths(&written.lock());
    assert_eq!((paths[0].as_str(), paths.last().unwrap().as_str(), paths.len()), ("/1", "/5", 3));
    assert_eq!(paths[1].len(), 10, "the beginning of the second line: {}", paths[1]);
}
