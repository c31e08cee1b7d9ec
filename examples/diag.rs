#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
// throw-away: gen SEED FPS SECS OUTDIR ; eval FILES
use mercam::capture::{LandmarkWriter, Source, Step, blank_frame};
use mercam::config::Config;
use mercam::dere_grl::Recogniser;
use mercam::face::models::Store;
use mercam::frame::{Content, Face};
use mercam::synth::{Pace, Render, SyntheticConfig};
use mercam::time::Timestamp;
use std::io::{BufWriter, Write};
use std::time::Duration;

fn synth(seed: u64, fps: f64, secs: f64) -> SyntheticConfig {
    SyntheticConfig { seed, fps, duration: Some(secs), render: Render::Pixels, pace: Pace::Fast, ..SyntheticConfig::default() }
}

fn gen_one(seed: u64, fps: f64, secs: f64, dir: &str) {
    let c = synth(seed, fps, secs);
    let mut script = c.script(0);
    script.extend_to(Timestamp::from_secs(secs));
    let base = format!("{dir}/s{seed}_{}", fps as u32);
    std::fs::write(format!("{base}.truth.json"), script.to_json().unwrap()).unwrap();
    let mut source = c.build().unwrap();
    let mut stage = Config::default().face.build(&Store::default()).unwrap();
    let mut w = LandmarkWriter::new(BufWriter::new(std::fs::File::create(format!("{base}.jsonl")).unwrap()), "x").unwrap();
    let mut wt = LandmarkWriter::new(BufWriter::new(std::fs::File::create(format!("{base}.exact.jsonl")).unwrap()), "x").unwrap();
    let (mut frame, mut faces) = (blank_frame(), Vec::<Face>::new());
    loop {
        match source.next(&mut frame, Duration::from_millis(200)).unwrap() {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => break,
        }
        let Content::Picture(p) = &frame.content else { panic!() };
        stage.process(frame.time, p, &mut faces).unwrap();
        w.write(frame.time, frame.sequence, frame.lost_before, &faces).unwrap();
        if let Some(f) = faces.first() {
            let mut f = f.clone();
            f.landmarks = source.truth()[0];
            f.confidence = [1.0; 68];
            wt.write(frame.time, frame.sequence, frame.lost_before, &[f]).unwrap();
        }
    }
    w.flush().unwrap();
    wt.flush().unwrap();
    eprintln!("{base}: {:?}", stage.work());
}

fn ms(t: Timestamp) -> i64 { t.as_micros() / 1000 }

fn eval_one(path: &str, verbose: bool) -> [usize; 5] {
    let truth_path = path.replace(".exact.jsonl", ".jsonl").replace(".jsonl", ".truth.json");
    let truth: Vec<mercam::synth::TruthEvent> = std::fs::read_to_string(&truth_path)
        .map(|t| serde_json::from_str(&t).unwrap()).unwrap_or_default();
    let spec: mercam::capture::SourceSpec = format!("replay:{path}").parse().unwrap();
    let mut source = spec.build().unwrap();
    let config = Config::default();
    let mut recogniser = Recogniser::load(&config.dere_grl).unwrap();
    let mut a = config.analysis.build().unwrap();
    let none_at = recogniser.classes().iter().position(|c| c == "none");
    let mut n_model = 0;
    let mut last_seq: Option<u64> = None;
    struct D { onset: Timestamp, apex: Timestamp, offset: Timestamp, class: String, component: mercam::landmarks::Component, amplitude: f32, score: f32, quality: f32, p: Vec<i32> }
    let mut take = |events: &mut Vec<mercam::spotting::Spotted>, now: Timestamp, rec: &mut Recogniser, rej: &mut Vec<(Timestamp, String)>, conf: &mut Vec<D>| {
        for s in events.drain(..) {
            let r = rec.recognise(&mercam::dere_grl::Features::new(&s.shape, &s.displacement)).unwrap().clone();
            let p: Vec<i32> = r.probabilities.iter().map(|p| (p * 100.0) as i32).collect();
            let none = none_at.map_or(0.0, |i| r.probabilities[i]);
            rej.push((now, format!("{:?} {:?} on{} ap{} off{} amp{:.4} score{:.1} p{p:?} {:?}", s.stage, s.component, ms(s.interval.onset()), ms(s.interval.apex()), s.interval.offset().map_or(0, ms), s.amplitude, s.score, s.reason)));
            if s.stage == mercam::event::Stage::Confirmed {
                if none > config.dere_grl.reject_none_above { rej.push((now, "MODEL".into())); n_model += 1; continue; }
                conf.push(D { onset: s.interval.onset(), apex: s.interval.apex(), offset: s.interval.offset().unwrap(), class: rec.class_name(&r).to_string(), component: s.component, amplitude: s.amplitude, score: s.score, quality: s.quality, p });
            }
        }
    };
    let mut frame = blank_frame();
    let mut events = Vec::new();
    let mut rejections: Vec<(Timestamp, String)> = Vec::new();
    let mut confirmed: Vec<D> = Vec::new();
    let mut last: Vec<(mercam::event::Rejection, u64)> = Vec::new();
    let mut end = Timestamp::default();
    loop {
        match source.next(&mut frame, Duration::from_millis(200)).unwrap() {
            Step::Frame => {}
            Step::Timeout => continue,
            Step::End => break,
        }
        end = frame.time;
        events.clear();
        let lost = last_seq.replace(frame.sequence).map_or(0, |l| frame.sequence - l - 1) as u32;
        let Content::Faces(faces) = &frame.content else { panic!() };
        a.push(frame.time, lost, faces, &mut events);
        take(&mut events, frame.time, &mut recogniser, &mut rejections, &mut confirmed);
        let now: Vec<_> = a.rejections().iter().collect();
        for (r, n) in &now {
            let before = last.iter().find(|(b, _)| b == r).map_or(0, |(_, n)| *n);
            if *n > before { rejections.push((frame.time, format!("REJ {r:?}"))); }
        }
        last = now;
    }
    a.finish(&mut events);
    take(&mut events, end, &mut recogniser, &mut rejections, &mut confirmed);
    let shown: Vec<_> = truth.iter().filter(|e| e.class().is_some() && e.offset <= end).collect();
    let mut hit = vec![None; shown.len()];
    let mut falses = Vec::new();
    for (k, d) in confirmed.iter().enumerate() {
        let off = d.offset;
        let best = (0..shown.len()).max_by(|&x, &y| shown[x].overlap_ms(d.onset, off).total_cmp(&shown[y].overlap_ms(d.onset, off)));
        match best.filter(|&i| shown[i].overlap_ms(d.onset, off) > 0.0 && hit[i].is_none()) {
            Some(i) => hit[i] = Some(k),
            None => falses.push(k),
        }
    }
    let detected = hit.iter().flatten().count();
    let right = hit.iter().zip(&shown).filter(|(h, e)| h.is_some_and(|k| confirmed[k].class == e.class().unwrap().name())).count();
    if verbose {
        for (h, e) in hit.iter().zip(&shown) {
            let units: Vec<String> = e.units.iter().map(|u| format!("{:?}:{:.2}/{:.2}", u.au, u.right, u.left)).collect();
            let what = match h {
                Some(k) => {
                    let d = &confirmed[*k];
                    let ok = d.class == e.class().unwrap().name();
                    if ok { continue }
                    format!("WRONG {} {:?} amp{:.4} on{} ap{} off{} p{:?}", d.class, d.component, d.amplitude, ms(d.onset), ms(d.apex), ms(d.offset), d.p)
                }
                None => "MISS".into(),
            };
            println!("  {} {:?} {}..{}..{} peak {:.4} {:?}: {what}", path.rsplit('/').next().unwrap(), e.class().unwrap(), ms(e.onset), ms(e.apex), ms(e.offset), e.peak, units);
            for (t, r) in rejections.iter().filter(|(t, _)| *t >= e.onset && *t <= e.offset.plus_ms(900.0)) {
                println!("       {} {r}", ms(*t));
            }
        }
        for k in &falses {
            let d = &confirmed[*k];
            let near: Vec<_> = truth.iter().filter(|e| e.offset >= d.onset.plus_ms(-500.0) && e.onset <= d.offset.plus_ms(300.0)).map(|e| format!("{:?} {}..{}", e.label, ms(e.onset), ms(e.offset))).collect();
            println!("  {} FALSE {} {:?} amp{:.4} score{:.1} q{:.2} on{} ap{} off{} near {:?}", path.rsplit('/').next().unwrap(), d.class, d.component, d.amplitude, d.score, d.quality, ms(d.onset), ms(d.apex), ms(d.offset), near);
            for (t, r) in rejections.iter().filter(|(t, _)| *t >= d.onset.plus_ms(-300.0) && *t <= d.offset.plus_ms(500.0)) {
                println!("       {} {r}", ms(*t));
            }
        }
    }
    println!("{path}: shown {} detected {detected} right {right} false {} ({:.0} s) model {n_model} {:?}", shown.len(), falses.len(), end.as_secs(), last.iter().filter(|x| x.1 > 0).collect::<Vec<_>>());
    [shown.len(), detected, right, falses.len(), end.as_secs() as usize]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let _ = std::io::stdout().flush();
    match args[0].as_str() {
        "gen" => gen_one(args[1].parse().unwrap(), args[2].parse().unwrap(), args[3].parse().unwrap(), &args[4]),
        "eval" | "sum" => {
            mercam::health::logger::start(std::env::var("LOG").ok().and_then(|l| serde_json::from_str(&format!("\"{l}\"")).ok()).unwrap_or(mercam::health::logger::LogLevel::Off));
            let mut all = [0; 5];
            for p in &args[1..] {
                for (a, b) in all.iter_mut().zip(eval_one(p, args[0] == "eval")) { *a += b; }
            }
            println!("ALL shown {} detected {} ({:.3}) right {} ({:.3}) false {} ({:.2}/min)", all[0], all[1], all[1] as f64 / all[0] as f64, all[2], all[2] as f64 / all[1].max(1) as f64, all[3], all[3] as f64 * 60.0 / all[4] as f64);
        }
        _ => panic!(),
    }
}
