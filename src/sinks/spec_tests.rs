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
        ("kafka:x", &["kafka", "`log`, `stdout`, `human`, `file`, `csv`, `serial`"]),
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
        ("stdout:x", &["stdout", "?"]),
        ("stdout?x=1", &["no options"]),
        ("log?level=error", &["error", "info"]),
    ] {
        let e = refused(text);
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
        assert!(page.contains(&format!("| `{kind}")), "{kind}");
        for (key, value) in defaults.table().unwrap() {
            let row = page.lines().find(|l| l.starts_with('|') && l.contains(&format!("`{key}`")));
            let row = row.unwrap_or_else(|| panic!("{kind}: `{key}` is not in the page"));
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert!(row.contains(&value), "{kind}: `{key}` is {value} by default, the page says {row}");
        }
    }
}
