#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::sinks::{FlowControl, LogLevel};
use crate::wire::Format;
use proptest::prelude::*;

fn parse(text: &str) -> SinkSpec {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> String {
    text.parse::<SinkSpec>().expect_err(text).to_string()
}

#[test]
fn strings_become_specs_and_come_back() {
    let serial = parse("serial:/dev/ttyUSB0?baud=921600&format=binary");
    let SinkSpec::Serial(c) = &serial else { panic!("{serial:?}") };
    assert_eq!((c.device.as_str(), c.baud, c.format), ("/dev/ttyUSB0", 921_600, Format::Binary));
    assert_eq!(parse("log?level=debug"), SinkSpec::Log(LogConfig { level: LogLevel::Debug }));
    for text in [
        "log",
        "log?level=trace",
        "stdout",
        "human?colour=never",
        "file:/var/log/100%.jsonl",
        "file:odd%3Fname",
        "file:/x?keep=0&max_bytes=1000",
        "csv:/x?max_total_bytes=200000000",
        "udp:[ff02::1]:5005?format=binary&multicast_ttl=4",
        "serial:/dev/ttyUSB0?baud=921600&format=binary",
        "serial:/dev/serial/by-id/usb-FTDI_A-if00-port0",
        "serial:/dev/ttyS0?acks=true&format=binary&spool=/var/lib/mercam/serial",
        "tcp:hub.local:7420?spool=/var/lib/mercam/tcp",
        "tcp:[::1]:7420",
        "unix:/run/mercam.sock?max_per_s=5",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
    assert_eq!(parse("file:/x?keep=3").to_string(), "file:/x");
}

#[test]
fn a_table_means_the_same_as_the_string() {
    let table = "kind = \"serial\"\ndevice = \"/dev/ttyS1\"\nflow_control = \"hardware\"\nretry_min_ms = 10\n";
    let spec: SinkSpec = toml::from_str(table).unwrap();
    assert_eq!(spec, parse("serial:/dev/ttyS1?flow_control=hardware&retry_min_ms=10"));
    let SinkSpec::Serial(c) = spec else { panic!() };
    assert_eq!(c.flow_control, FlowControl::Hardware);
    assert_eq!(toml::from_str::<SinkSpec>("kind = \"stdout\"").unwrap(), parse("stdout"));
    let e = toml::from_str::<SinkSpec>("kind = \"serial\"\nbuad = 9600").unwrap_err().to_string();
    assert!(e.contains("buad") && e.contains("baud"), "{e}");
    let e = toml::from_str::<SinkSpec>("kind = \"stdout\"\nbaud = 9600").unwrap_err().to_string();
    assert!(e.contains("baud"), "{e}");
    let e = toml::from_str::<SinkSpec>("kind = \"cake\"").unwrap_err().to_string();
    assert!(e.contains("cake") && e.contains("serial"), "{e}");
}

#[test]
fn mistakes_are_named_with_their_mend() {
    for (text, words) in [
        ("seriel:/dev/ttyUSB0", &["seriel", "did you mean `serial`"][..]),
        ("/dev/ttyUSB0", &["serial:/dev/ttyUSB0"]),
        ("out.jsonl", &["file:out.jsonl"]),
        ("kafka:x", &["kafka", "`log`, `stdout`, `human`, `file`, `csv`, `serial`, `udp`, `tcp`, `unix`"]),
        ("", &["unknown kind"]),
        ("serial", &["serial:DEVICE"]),
        ("serial:", &["serial:DEVICE"]),
        ("file:?keep=1", &["file:PATH"]),
        ("serial:/dev/ttyS0?buad=9600", &["buad", "did you mean `baud`"]),
        ("serial:/dev/ttyS0?device=/x", &["unknown option `device`"]),
        ("serial:/dev/ttyS0?baud=fast", &["baud", "whole number", "fast"]),
        ("serial:/dev/ttyS0?baud=-1", &["-1"]),
        ("serial:/dev/ttyS0?baud=0", &["baud", "50"]),
        ("serial:/dev/ttyS0?baud=9600&baud=9600", &["twice"]),
        ("serial:/dev/ttyS0?baud", &["baud=VALUE"]),
        ("serial:/dev/ttyS0?format=hex", &["hex", "text", "binary"]),
        ("udp:kiosk", &["kiosk", "HOST:PORT"]),
        ("udp::99", &["HOST:PORT"]),
        ("udp:kiosk:0", &["HOST:PORT"]),
        ("udp:kiosk:99?multicast_ttl=0", &["multicast_ttl"]),
        ("file:/x?max_total_bytes=5", &["max_total_bytes", "max_bytes"]),
        ("csv:/x?max_total_bytes=5&max_bytes=0", &["csv", "max_total_bytes"]),
        ("serial:/dev/ttyS0?acks=true", &["acks", "format = binary"]),
        ("serial:/dev/ttyS0?acks=perhaps", &["acks", "perhaps"]),
        ("tcp:hub", &["hub", "HOST:PORT", "7420"]),
        ("tcp::7420", &["HOST:PORT"]),
        ("unix", &["unix:PATH"]),
        ("tcp:hub:1?ack_timeout_ms=0", &["ack_timeout_ms"]),
        ("stdout:x", &["stdout", "?"]),
        ("stdout?x=1", &["no options"]),
        ("log?level=error", &["error", "info"]),
    ] {
        let e = refused(text);
        assert!(words.iter().all(|w| e.contains(w)), "{text}: {e}");
    }
}

#[cfg(feature = "mqtt")]
#[test]
fn brokers_are_named_like_the_rest() {
    for text in ["mqtt:broker", "mqtt:[::1]:1884?home_assistant=true&topic=site/hall", "mqtt:b?ca=/etc/ca.pem"] {
        assert_eq!(parse(text).to_string(), text);
    }
    for (text, words) in [
        ("mqtt", &["mqtt:HOST"][..]),
        ("mqtt:b:x", &["HOST:PORT"]),
        ("mqtt:b?topic=a/%2B/+", &["topic", "+"]),
        ("mqtt:b?password=x", &["unknown option `password`", "password_file"]),
        ("mqtt:b?password_file=/x", &["username"]),
        ("mqtt:b?keep_alive_s=1", &["keep_alive_s"]),
        ("mqtt:b?spool_max_bytes=1", &["spool_max_bytes"]),
    ] {
        let e = text.parse::<SinkSpec>().and_then(|s| s.build().map(|_| ())).expect_err(text).to_string();
        assert!(words.iter().all(|w| e.contains(w)), "{text}: {e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_spec_or_an_error(text in "(log|file|csv|udp|serial|stdout|human)?[:?&=%a-z0-9/]{0,30}|\\PC{0,40}") {
        if let Ok(spec) = text.parse::<SinkSpec>() {
            prop_assert_eq!(parse(&spec.to_string()), spec);
        }
    }

    #[test]
    fn any_path_survives_the_string(path in "[%?&=:a-z0-9 ]{0,6}(%25|%3F|%26|\\PC){1,6}", keep: u32) {
        let spec = SinkSpec::File(FileConfig { path: path.into(), keep, ..FileConfig::default() });
        prop_assert_eq!(parse(&spec.to_string()), spec);
    }
}

#[test]
fn the_reference_page_has_every_option_with_its_default() {
    let page = include_str!("../../docs/reference/sinks.md");
    for kind in SinkSpec::KINDS.iter().copied() {
        let defaults = SinkSpec::of_kind(kind).unwrap();
        assert_eq!(defaults.kind(), kind);
        assert!(page.contains(&format!("| `{kind}")) || page.contains(&format!(", `{kind}")), "{kind}");
        let rows = option_rows(page, kind);
        for (key, value) in defaults.table().unwrap() {
            let row = rows.iter().find(|l| l.split('|').nth(2).is_some_and(|c| c.contains(&format!("`{key}`"))));
            let row = row.unwrap_or_else(|| panic!("{kind}: `{key}` is not in the page"));
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert!(row.contains(&value), "{kind}: `{key}` is {value} by default, the page says {row}");
        }
    }
}

/// The rows of a kind in the table of options: a row without a kind belongs to the one above it.
fn option_rows<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let options = page.split_once("## Options").unwrap().1;
    let options = options.split_once("\n## ").map_or(options, |(first, _)| first);
    let mut current = "";
    let rows = options.lines().filter(|l| l.starts_with('|')).filter(|l| {
        let first = l.split('|').nth(1).unwrap_or_default().trim();
        current = if first.is_empty() { current } else { first };
        current.contains(&format!("`{kind}`"))
    });
    rows.collect()
}
