//! `mercam recognise`: the network alone, on movements measured elsewhere.

use super::output;
use crate::dere_grl::{DereGrlConfig, Features, Precision, Recogniser};
use crate::error::{Error, Result};
use crate::geometry::Iod;
use crate::landmarks::{COUNT, Component};
use anyhow::{Context, anyhow};
use serde::Serialize;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

const HELP: &str = "\
Reads one movement per line: a JSON list of x, y, dx, dy of the landmarks 17 to 67, one landmark after the other: its
place at the onset and its movement to the apex, in the face frame, in inter-ocular distances, head motion removed
(docs/reference/movement-table.md). Writes one JSON object per line: class, probabilities, actions, relations.

Example:
  mercam recognise --input moves.jsonl --precision fp32 > answers.jsonl";

/// Arguments of `recognise`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// File with one movement per line; - reads standard input
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// A model of your own: an ONNX file or a folder, as `dere_grl.model` in the configuration
    #[arg(short, long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// int8 or fp32
    #[arg(short, long, default_value_t = Precision::Int8, value_parser = precision)]
    precision: Precision,
}

fn precision(text: &str) -> std::result::Result<Precision, String> {
    [Precision::Int8, Precision::Fp32].into_iter().find(|p| p.name() == text).ok_or_else(|| "int8 or fp32".to_owned())
}

#[derive(Serialize)]
struct Answer<'a> {
    class: &'a str,
    probabilities: Vec<f32>,
    actions: [f32; Component::ALL.len()],
    relations: [[f32; Component::ALL.len()]; Component::ALL.len()],
}

/// Does it.
pub fn run(args: &Args) -> Result<()> {
    let config = DereGrlConfig { model: args.model.clone(), precision: args.precision, ..DereGrlConfig::default() };
    let mut recogniser = config.build().map_err(Error::unavailable)?;
    let reader: Box<dyn Read> = if args.input.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(&args.input)
            .with_context(|| format!("{} cannot be read", args.input.display()))
            .map_err(Error::unavailable)?;
        Box::new(file)
    };
    for (n, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(Error::failure)?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = answer(&mut recogniser, &line)
            .with_context(|| format!("{}, line {}", args.input.display(), n + 1))
            .map_err(Error::failure)?;
        output::print(&answer)?;
    }
    Ok(())
}

/// The answer to one line, as a line.
fn answer(recogniser: &mut Recogniser, line: &str) -> anyhow::Result<String> {
    let features = parse(line)?;
    let recognition = recogniser.recognise(&features)?.clone();
    let answer = Answer {
        class: recogniser.class_name(&recognition),
        probabilities: recognition.probabilities.clone(),
        actions: recognition.actions,
        relations: recognition.relations,
    };
    Ok(serde_json::to_string(&answer)? + "\n")
}

/// Landmarks 17 to 67 from a JSON list of 204 numbers.
fn parse(line: &str) -> anyhow::Result<Features> {
    let values: Vec<f32> = serde_json::from_str(line).context("not a JSON list of numbers")?;
    let first = Component::ALL.iter().map(|c| c.landmarks().start).min().unwrap_or(0);
    let wanted = 4 * (COUNT - first);
    if values.len() != wanted {
        return Err(anyhow!("{} numbers; x, y, dx, dy of the landmarks {first} to 67 are {wanted}", values.len()));
    }
    let (mut shape, mut shift) = ([Iod::default(); COUNT], [Iod::default(); COUNT]);
    let landmarks = shape.iter_mut().zip(shift.iter_mut()).skip(first);
    for ((place, movement), v) in landmarks.zip(values.chunks_exact(4)) {
        if let [x, y, dx, dy] = *v {
            *place = Iod::new(x, y);
            *movement = Iod::new(dx, dy);
        }
    }
    Ok(Features::new(&shape, &shift))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_line_is_answered_and_a_bad_one_says_what_it_lacks() {
        let mut recogniser = DereGrlConfig::default().build().unwrap();
        let line = serde_json::to_string(&vec![0.01f32; 204]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&answer(&mut recogniser, &line).unwrap()).unwrap();
        let sum: f64 = value["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-4);
        assert_eq!(value["actions"].as_array().unwrap().len(), 6);
        let short = answer(&mut recogniser, "[1, 2]").unwrap_err();
        assert!(format!("{short:#}").contains("204"), "{short:#}");
        let text = answer(&mut recogniser, "hello").unwrap_err();
        assert!(format!("{text:#}").contains("JSON"), "{text:#}");
    }

    #[test]
    fn a_line_becomes_the_features_it_lists() {
        let values: Vec<f32> = (0..204).map(|v| v as f32 / 1000.0).collect();
        let features = parse(&serde_json::to_string(&values).unwrap()).unwrap();
        assert_eq!(features.as_slice(), values);
    }
}
