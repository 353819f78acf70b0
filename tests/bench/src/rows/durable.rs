//! The same with every job on disk before it is accepted.

mod alone;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use self::alone::{commits, redb_alone};
use super::queue::{beanstalkd, beanstalkd_jobs, figures, metrics};
use crate::kit::Kit;
use crate::load::jobs::{Jobs, Pace};
use crate::machine::{Place, at};
use crate::row::{Contender, Figures, Metric, Role, Row, Target, Terms, counted};
use crate::trouble::{Result, Trouble};

/// A disk that is shared may take ten times as long in one second as in the
/// next: short rounds, and many, have what is compared see the same disk.
const SLICES: usize = 4;

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    [1, 64].into_iter().map(|producers| row(kit, producers)).collect()
}

fn row(kit: &Kit, producers: usize) -> Row {
    let (ours, limit, peer) = (kit.clone(), kit.clone(), kit.clone());
    // The size of the bus's commits, for the limit to have the same.
    let arose = Rc::new(Cell::new(None));
    let known = arose.clone();
    let mut metrics = metrics(Target::OfLimit(0.7));
    metrics.push(Metric { what: "jobs a commit", unit: "1", target: Target::None });
    Row {
        key: format!("durable-{producers}"),
        what: format!(
            "{}, one submission each under way: on disk before every answer",
            counted(producers, "producer")
        ),
        metrics,
        slices: SLICES,
        contenders: vec![
            Contender::new(Role::Ours, "bus --data", move |terms| {
                let (figures, jobs_a_commit) = durable_bus(&ours, producers, terms)?;
                arose.set(Some(jobs_a_commit));
                Ok(figures)
            }),
            Contender::new(Role::Limit, "redb alone, in commits of that size", move |terms| {
                let unknown = || Trouble::wrong("the size of the bus's commits is not known");
                let jobs_a_commit = known.get().ok_or_else(unknown)?;
                let (path, _data) = limit.empty_data("redb")?;
                let time = slice(terms).time;
                let jobs = redb_alone(&path.join("jobs.redb"), jobs_a_commit, time)?;
                Ok(vec![Some(jobs), None, None, Some(jobs_a_commit)])
            }),
            Contender::new(Role::Peer, "beanstalkd -b -f 0", move |terms| {
                let (path, _data) = peer.empty_data("beanstalkd")?;
                let server = beanstalkd(Some(&path))?;
                let mut figures = figures(beanstalkd_jobs(&server, producers, slice(terms))?);
                figures.push(None);
                Ok(figures)
            }),
        ],
    }
}

const fn slice(terms: &Terms) -> Pace {
    Pace { time: Duration::from_millis(terms.pick(500, 200)), spinning: false }
}

/// The figures, and how many jobs there were for each commit.
fn durable_bus(kit: &Kit, producers: usize, terms: &Terms) -> Result<(Figures, f64)> {
    let (path, _data) = kit.empty_data("bus")?;
    let bus = kit.durable_bus(&path)?;
    let file = path.join("queue.redb");
    at(Place::Load, || {
        let mut jobs = Jobs::gather(bus.port(), producers)?;
        let before = commits(&file)?;
        let mut figures = figures(jobs.run(bus.pid(), slice(terms))?);
        let commits = commits(&file)? - before;
        let jobs_a_commit = jobs.finished() as f64 / commits as f64;
        figures.push(Some(jobs_a_commit));
        Ok((figures, jobs_a_commit))
    })?
}
