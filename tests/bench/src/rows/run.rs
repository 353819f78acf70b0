//! Jobs through the whole local path: `sched run` and those who do the like.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::child::{Took, program, run_to_end};
use crate::cleanup::undoing;
use crate::kit::Kit;
use crate::machine::processors;
use crate::row::{Contender, Metric, Role, Row, Target, Terms};
use crate::trouble::{Doing, Result, Trouble};

const JOB: &str = "/bin/true";

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    [2, 8, 32].into_iter().map(|slots| row(kit, slots)).collect()
}

fn row(kit: &Kit, slots: usize) -> Row {
    let target = Target::OfLimit(0.9);
    let jobs = Metric { what: "jobs a second", unit: "/s", target };
    let target = Target::TimesLimit(1.15);
    let cost = Metric { what: "processor time a job", unit: "us", target };
    let mut contenders = vec![
        contender(kit, Role::Ours, "sched run", 4000, move |kit, jobs| ours(kit, slots, jobs)),
        contender(kit, Role::Limit, "posix_spawn and wait, in C", 4000, move |kit, jobs| {
            let launchers = processors().min(slots);
            let numbers = [jobs, slots, launchers].map(|number| number.to_string());
            let took = run_to_end(Command::new(kit.spawn_limit()?).args(numbers).arg(JOB))?;
            Ok((took, true))
        }),
        contender(kit, Role::Peer, "moreutils parallel", 4000, move |_, jobs| {
            let parallel = moreutils_parallel()?;
            let mut command = Command::new(parallel);
            // It gives each job an argument, which this one does not look at.
            command.args(["-j", &slots.to_string(), JOB, "--"]).args(vec!["x"; jobs]);
            Ok((run_to_end(&mut command)?, true))
        }),
        contender(kit, Role::Peer, "xargs -P", 4000, move |kit, jobs| {
            let xargs = program("xargs", "findutils")?;
            let mut command = Command::new(xargs);
            command.arg("-a").arg(lines(kit, jobs)?);
            command.args(["-P", &slots.to_string(), "-n", "1", JOB]);
            Ok((run_to_end(&mut command)?, true))
        }),
        contender(kit, Role::Peer, "GNU parallel", 400, move |kit, jobs| {
            let parallel = gnu_parallel()?;
            let mut command = Command::new(parallel);
            command.args(["--will-cite", "-j", &slots.to_string(), "-a"]).arg(lines(kit, jobs)?);
            Ok((run_to_end(&mut command)?, true))
        }),
    ];
    contenders.push(contender(kit, Role::Peer, "task-spooler", 1000, move |kit, jobs| {
        Ok((task_spooler(kit, slots, jobs)?, false))
    }));
    Row {
        key: format!("run-{slots}"),
        what: format!("{JOB} through {slots} slots: submitted, started, reaped, told"),
        metrics: vec![jobs, cost],
        slices: 1,
        contenders,
    }
}

/// One that runs jobs, and says what that took, and whether its processor time
/// is known.
fn contender(
    kit: &Kit,
    role: Role,
    name: &str,
    jobs: usize,
    run: impl Fn(&Kit, usize) -> Result<(Took, bool)> + 'static,
) -> Contender {
    let kit = kit.clone();
    Contender::new(role, name, move |terms: &Terms| {
        let jobs = terms.pick(jobs, jobs / 10);
        let (took, known) = run(&kit, jobs)?;
        let cost = took.processor * 1e6 / jobs as f64;
        Ok(vec![Some(jobs as f64 / took.wall), known.then_some(cost)])
    })
}

fn ours(kit: &Kit, slots: usize, jobs: usize) -> Result<(Took, bool)> {
    if run_to_end(kit.sched().args(["run", "--help"])).is_err() {
        return Err(Trouble::missing("sched run", "this sched is of a version before it"));
    }
    let took =
        run_to_end(kit.sched().args(["run", "-s", &slots.to_string()]).arg(lines(kit, jobs)?))?;
    Ok((took, true))
}

/// A file with so many jobs, one a line.
fn lines(kit: &Kit, jobs: usize) -> Result<PathBuf> {
    let path = kit.file(&format!("jobs-{jobs}"));
    fs::write(&path, format!("{JOB}\n").repeat(jobs)).doing("write a list of jobs")?;
    Ok(path)
}

/// Where both programs of this name are installed, this one has another.
fn moreutils_parallel() -> Result<PathBuf> {
    let renamed = program("parallel.moreutils", "moreutils");
    let alone = || program("parallel", "moreutils").ok().filter(|path| !is_gnu_parallel(path));
    renamed.or_else(|missing| alone().ok_or(missing))
}

fn gnu_parallel() -> Result<PathBuf> {
    let path = program("parallel", "parallel")?;
    if is_gnu_parallel(&path) {
        return Ok(path);
    }
    Err(Trouble::missing("GNU parallel", "package parallel"))
}

fn is_gnu_parallel(path: &Path) -> bool {
    let version = Command::new(path).arg("--version").stdin(Stdio::null()).output();
    version.is_ok_and(|version| version.stdout.starts_with(b"GNU parallel"))
}

/// Its server is a daemon, which ends when it is told to.
fn task_spooler(kit: &Kit, slots: usize, jobs: usize) -> Result<Took> {
    let tsp = program("tsp", "task-spooler")?;
    let socket = kit.file("tsp.socket");
    let spooler = {
        let (tsp, socket) = (tsp, socket);
        move || {
            let mut command = Command::new(&tsp);
            command.env("TS_SOCKET", &socket).env("TS_MAXCONN", "1000");
            command
        }
    };
    let end = spooler.clone();
    let ((), _daemon) = undoing(|| {
        Ok(((), move || drop(end().arg("-K").stdout(Stdio::null()).stderr(Stdio::null()).status())))
    })?;
    run_to_end(spooler().args(["-S", &slots.to_string()]))?;
    let began = Instant::now();
    for _ in 0..jobs {
        run_to_end(spooler().args(["-n", JOB]))?;
    }
    run_to_end(spooler().arg("-w"))?;
    Ok(Took { wall: began.elapsed().as_secs_f64(), processor: 0.0 })
}
