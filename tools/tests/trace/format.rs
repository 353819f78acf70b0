//! Whether a text is a trace as Chrome's "Trace Event Format" describes it, and
//! as this project means it.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a reader of a trace asks about.
pub(crate) struct Trace {
    pub(crate) bars: Vec<Bar>,
    /// What shows within a run how it was stopped.
    pub(crate) stops: Vec<Bar>,
    pub(crate) arrows: Vec<Arrow>,
    /// The names of processes.
    pub(crate) processes: BTreeMap<u64, String>,
    /// The names of tracks.
    pub(crate) tracks: BTreeMap<Track, String>,
    pub(crate) remarks: Vec<String>,
    pub(crate) about: Value,
}

type Track = (u64, u64);

#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) track: Track,
    /// In microseconds, as all times.
    pub(crate) begin: f64,
    pub(crate) end: f64,
    pub(crate) evicted: bool,
    pub(crate) args: Value,
}

#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) from: (Track, f64),
    pub(crate) to: (Track, f64),
}

/// Less than the format can tell.
const NOTHING: f64 = 0.01;

impl Trace {
    /// Reads a trace; fails on one that breaks a rule.
    pub(crate) fn read(text: &str) -> Self {
        let whole: Value = serde_json::from_str(text).unwrap();
        let mut trace = Self {
            bars: Vec::new(),
            stops: Vec::new(),
            arrows: Vec::new(),
            processes: BTreeMap::new(),
            tracks: BTreeMap::new(),
            remarks: Vec::new(),
            about: whole["otherData"].clone(),
        };
        assert!(matches!(&whole["displayTimeUnit"], Value::String(unit) if unit == "ms"));
        let mut open = BTreeMap::new();
        for entry in whole["traceEvents"].as_array().unwrap() {
            trace.entry(entry, &mut open);
        }
        assert!(open.is_empty(), "arrows with one end: {open:?}");
        trace.check_tracks();
        trace.check_stops();
        trace.check_arrows();
        trace
    }

    fn entry(&mut self, entry: &Value, open: &mut BTreeMap<u64, (Track, f64)>) {
        let number = |field: &str| {
            let number = entry[field].as_f64().filter(|it| *it >= 0.0);
            number.unwrap_or_else(|| panic!("no {field:?} in {entry}"))
        };
        let whole = |field: &str| entry[field].as_u64().unwrap_or_else(|| panic!("{entry}"));
        let track = (whole("pid"), whole("tid"));
        let (at, name) = (number("ts"), entry["name"].as_str().unwrap().to_owned());
        match entry["ph"].as_str().unwrap() {
            "M" => {
                let named = entry["args"]["name"].as_str().unwrap().to_owned();
                let before = match &*name {
                    "process_name" => self.processes.insert(track.0, named),
                    "thread_name" => self.tracks.insert(track, named),
                    _ => panic!("{entry}"),
                };
                assert_eq!(before, None, "named twice: {entry}");
            }
            "X" => {
                let end = at + number("dur");
                let evicted = entry["cat"] == "evicted";
                let args = entry["args"].clone();
                let bar = Bar { name, track, begin: at, end, evicted, args };
                match entry["cat"].as_str().unwrap() {
                    "run" | "evicted" => self.bars.push(bar),
                    "stopping" => self.stops.push(bar),
                    _ => panic!("{entry}"),
                }
            }
            "s" => assert_eq!(open.insert(whole("id"), (track, at)), None, "{entry}"),
            "f" => {
                assert_eq!(entry["bp"], "e", "it would end at the next bar: {entry}");
                let from = open.remove(&whole("id")).unwrap_or_else(|| panic!("{entry}"));
                self.arrows.push(Arrow { from, to: (track, at) });
            }
            "i" => {
                assert_eq!(entry["s"], "g", "{entry}");
                self.remarks.push(name);
            }
            _ => panic!("{entry}"),
        }
    }

    /// Every track has its name, and one run at a time.
    fn check_tracks(&self) {
        let mut by_track: BTreeMap<Track, Vec<&Bar>> = BTreeMap::new();
        for bar in &self.bars {
            assert!(self.tracks.contains_key(&bar.track), "{bar:?}");
            assert!(self.processes.contains_key(&bar.track.0), "{bar:?}");
            for field in ["job", "outcome"] {
                assert!(bar.args[field].is_string(), "no {field:?} in {bar:?}");
            }
            assert!(bar.args["priority"].is_number(), "{bar:?}");
            assert_eq!(bar.evicted, bar.args["evicted_by"].is_string(), "{bar:?}");
            by_track.entry(bar.track).or_default().push(bar);
        }
        for bars in by_track.values_mut() {
            bars.sort_by(|one, other| one.begin.total_cmp(&other.begin));
            for pair in bars.windows(2) {
                assert!(pair[0].end <= pair[1].begin + NOTHING, "two at once: {pair:?}");
            }
        }
    }

    fn check_stops(&self) {
        for stop in &self.stops {
            let inside = |run: &&Bar| {
                run.track == stop.track
                    && run.begin <= stop.begin + NOTHING
                    && stop.end <= run.end + NOTHING
            };
            assert_eq!(self.bars.iter().filter(inside).count(), 1, "{stop:?}");
        }
    }

    /// Every arrow leads from within an evicted run to the begin of the run of
    /// the job that evicted it.
    fn check_arrows(&self) {
        for arrow in &self.arrows {
            let (track, at) = arrow.to;
            let evictor = self.bars.iter().find(|it| it.track == track && it.begin == at);
            let evictor = evictor.unwrap_or_else(|| panic!("{arrow:?} ends nowhere"));
            let (track, at) = arrow.from;
            // A run may be too short for the times of a bus.
            let within =
                |run: &Bar| run.begin <= at && at < run.end || (run.begin, run.end) == (at, at);
            let victim = self.bars.iter().find(|run| {
                run.track == track && within(run) && run.args["evicted_by"] == evictor.name
            });
            assert!(victim.is_some(), "{arrow:?} begins at no victim of {evictor:?}");
        }
    }

    /// The runs of a job, in their order.
    pub(crate) fn runs(&self, job: &str) -> Vec<&Bar> {
        let mut runs: Vec<_> = self.bars.iter().filter(|bar| bar.name == job).collect();
        runs.sort_by(|one, other| one.begin.total_cmp(&other.begin));
        runs
    }
}
