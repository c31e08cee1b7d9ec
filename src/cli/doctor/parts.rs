//! What a run is made of beside the camera: processor, networks, model and sinks.

use super::Finding;
use crate::config::Config;
use crate::dere_grl::Recogniser;
use crate::face::models::{State, Store};
use crate::sinks::SinkSpec;
use rustix::fs::{Access, access};
use std::path::Path;

/// Looks at what a configuration asks for.
pub fn look(config: &Config) -> Vec<Finding> {
    let processor = Finding::good("processor", crate::health::cpu::prepare().to_string());
    let mut findings = vec![processor, networks(config, &Store::default()), model(config)];
    findings.extend(config.sinks.iter().filter_map(sink));
    findings
}

fn networks(config: &Config, store: &Store) -> Finding {
    if !config.source.delivers_pictures() {
        return Finding::unknown("face networks", "not needed by this source");
    }
    let mut wanting = Vec::new();
    for net in config.face.networks() {
        match store.state(net) {
            State::Ready(_) => {}
            State::Missing => wanting.push(format!("{net} is not fetched")),
            State::Damaged(why) => wanting.push(format!("{net}: {why}")),
        }
    }
    let place = format!("in {}", store.root().display());
    if wanting.is_empty() {
        return Finding::good(
            "face networks",
            format!("{} {place}", config.face.networks().map(|n| n.to_string()).join(", ")),
        );
    }
    Finding::bad(
        "face networks",
        format!("{} {place}", wanting.join("; ")),
        "mercam models fetch, as the user who runs mercam, or with MERCAM_CACHE set to that folder",
    )
}

fn model(config: &Config) -> Finding {
    match Recogniser::load(&config.dere_grl) {
        Ok(r) => {
            let model = r.model_ref();
            Finding::good("model", format!("{} ({}, sha256 {}...)", model.id, model.precision, model.sha256))
        }
        Err(e) => {
            Finding::bad("model", e.to_string(), "see dere_grl.model in the configuration; not set, it is built in")
        }
    }
}

/// Only sinks that are files or devices of this machine can be looked at without sending anything.
fn sink(spec: &SinkSpec) -> Option<Finding> {
    match spec {
        SinkSpec::Serial(config) => Some(serial(&spec.to_string(), Path::new(&config.device))),
        SinkSpec::File(config) => {
            let folder = Path::new(&config.path).parent().filter(|p| !p.as_os_str().is_empty());
            Some(writable(&spec.to_string(), folder.unwrap_or(Path::new("."))))
        }
        _ => None,
    }
}

fn serial(name: &str, device: &Path) -> Finding {
    if !device.exists() {
        let there: Vec<String> = std::fs::read_dir("/dev/serial/by-id")
            .map(|all| all.flatten().map(|e| e.path().display().to_string()).collect())
            .unwrap_or_default();
        let found = if there.is_empty() {
            "no USB serial line is there".into()
        } else {
            format!("there are {}", there.join(", "))
        };
        return Finding::bad(
            "sink",
            format!("{name}: there is no such device; {found}"),
            "plug it in, or name another",
        );
    }
    match access(device, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Finding::good("sink", name),
        Err(e) => Finding::bad(
            "sink",
            format!("{name}: it may not be used ({e})"),
            "sudo usermod -aG dialout $USER, then log in again",
        ),
    }
}

fn writable(name: &str, folder: &Path) -> Finding {
    match access(folder, Access::WRITE_OK) {
        Ok(()) => Finding::good("sink", name),
        Err(e) => Finding::bad(
            "sink",
            format!("{name}: its folder cannot be written ({e})"),
            "make the folder, or give it to the user who runs mercam",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Verdict;
    use super::*;

    #[test]
    fn missing_networks_are_bad_only_where_pictures_come() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let mut config = Config::default();
        let finding = networks(&config, &store);
        assert_eq!(finding.verdict, Verdict::Bad);
        assert!(finding.mend.is_some_and(|m| m.contains("mercam models fetch")));
        config.source = "synthetic:".parse().unwrap();
        assert_eq!(networks(&config, &store).verdict, Verdict::Unknown);
    }

    #[test]
    fn sinks_on_this_machine_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let good = format!("file:{}/events.jsonl", dir.path().display());
        for (text, verdict) in [
            (good.as_str(), Some(Verdict::Good)),
            ("file:/nonexistent/events.jsonl", Some(Verdict::Bad)),
            ("serial:/dev/ttyNONE", Some(Verdict::Bad)),
            ("log", None),
        ] {
            let found = sink(&text.parse().unwrap());
            assert_eq!(found.as_ref().map(|f| f.verdict), verdict, "{text}: {found:?}");
        }
    }
}
