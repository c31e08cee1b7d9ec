//! SIGHUP: reads the configuration again while the line runs. A bad one changes nothing and says so.

use super::plan;
use super::run::Args;
use crate::config::Config;
use crate::error::Result;
use crate::health::logger;
use crate::health::supervisor::Reload;
use crate::pipeline::aside::Change;
use crate::sinks::SinkSpec;
use crossbeam_channel::{Sender, TrySendError};

/// What is to be done at SIGHUP in a run that was started with `args` and has `config` in force.
pub fn on_hangup(args: Args, mut config: Config, to: Sender<Change>) -> Reload {
    Box::new(move || match prepare(&args, &config) {
        Ok((new, change)) => match to.try_send(change) {
            Ok(()) => {
                let pinned = needs_restart(&config, &new);
                if !pinned.is_empty() {
                    log::warn!("reloaded, but a change of {} needs a restart", pinned.join(", "));
                }
                log::info!("configuration reloaded: thresholds, sinks ({}), log level", names(&new.sinks));
                config = Config { sinks: new.sinks, log: new.log, ..config.clone() };
                (config.analysis.spotting, config.dere_grl.reject_none_above) =
                    (new.analysis.spotting, new.dere_grl.reject_none_above);
            }
            Err(TrySendError::Full(_)) => log::warn!("the last reload is not in force yet: send SIGHUP again"),
            Err(TrySendError::Disconnected(_)) => log::debug!("nothing to reload: the run is over"),
        },
        Err(e) => {
            logger::start(config.log);
            log::error!("the configuration was not reloaded, the old one stays in force: {e}");
        }
    })
}

/// Reads, checks and opens everything that is new.
fn prepare(args: &Args, old: &Config) -> Result<(Config, Change)> {
    let new = args.resolve()?;
    new.analysis.spotting.check().map_err(crate::error::Error::config)?;
    let (keep, added) = compare(&old.sinks, &new.sinks);
    let change = Change {
        spotting: new.analysis.spotting,
        reject_none_above: new.dere_grl.reject_none_above,
        keep: keep.clone(),
        sinks: plan::open_sinks(&added)?,
    };
    // In the order in which the line has them afterwards: those that stayed, then the new ones.
    let stayed = old.sinks.iter().zip(&keep).filter(|(_, k)| **k).map(|(s, _)| s.clone());
    let sinks = stayed.chain(added).collect();
    Ok((Config { sinks, ..new }, change))
}

/// Which of the old sinks stay as they are, and which of the new ones are to be opened.
fn compare(old: &[SinkSpec], new: &[SinkSpec]) -> (Vec<bool>, Vec<SinkSpec>) {
    let mut wanted = new.to_vec();
    let keep = old.iter().map(|o| {
        let place = wanted.iter().position(|w| w == o);
        place.map(|p| wanted.remove(p)).is_some()
    });
    (keep.collect(), wanted)
}

/// Sections that differ and are read only at the start.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut analysis = new.analysis;
    analysis.spotting = old.analysis.spotting;
    let mut dere_grl = new.dere_grl.clone();
    dere_grl.reject_none_above = old.dere_grl.reject_none_above;
    [
        ("device", old.device != new.device),
        ("source", old.source != new.source),
        ("pipeline", old.pipeline != new.pipeline),
        ("health", old.health != new.health),
        ("indicator", old.indicator != new.indicator),
        ("face", old.face != new.face),
        ("analysis (but for analysis.spotting)", old.analysis != analysis),
        ("dere_grl (but for reject_none_above)", old.dere_grl != dere_grl),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn names(sinks: &[SinkSpec]) -> String {
    sinks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sinks(text: &[&str]) -> Vec<SinkSpec> {
        text.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn a_sink_that_is_asked_for_as_before_stays_and_others_come_and_go() {
        let old = sinks(&["log", "file:a.jsonl", "file:b.jsonl"]);
        let new = sinks(&["file:b.jsonl", "file:c.jsonl", "log"]);
        let (keep, added) = compare(&old, &new);
        assert_eq!(keep, [true, false, true]);
        assert_eq!(added, sinks(&["file:c.jsonl"]));
        assert_eq!(compare(&sinks(&["log"]), &sinks(&["log", "log"])), (vec![true], sinks(&["log"])));
    }

    #[test]
    fn what_only_a_restart_can_change_is_named() {
        let old = Config::default();
        let mut new = old.clone();
        new.analysis.spotting.refractory_ms += 1.0;
        new.dere_grl.reject_none_above = 0.9;
        new.sinks.clear();
        assert_eq!(needs_restart(&old, &new), [""; 0]);
        new.health.hot_c = 70.0;
        new.analysis.movement.gap_ms += 1.0;
        assert_eq!(needs_restart(&old, &new), ["health", "analysis (but for analysis.spotting)"]);
    }
}
