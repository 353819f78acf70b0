//! A run, step by step: first under faults, then healed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;
use sched_core::{Duration, Instant, JobId};

use super::bus::Bus;
use super::client::Client;
use super::ledger::Ledger;
use super::machine::Machine;
use super::net::{Arrival, Net};
use super::plan::{BEGINNING, Fault, Plan};
use super::process::Process;
use super::{Verdict, ensure};

/// No run takes longer; more is an endless loop.
const MOST_STEPS: usize = 60_000;
/// How many of the last messages are told with what is wrong.
const REMEMBERED: usize = 50;
/// How long everything may take once all is well.
const HEALED_WITHIN: Duration = Duration::from_secs(3000);

/// A run that kept every promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// Its steps.
    pub steps: usize,
    /// Jobs that were accepted, and so got their outcome.
    pub jobs: usize,
    /// How often two processes of a job were seen at once, of which one was
    /// being stopped, or not known to its frozen scheduler.
    pub overlaps: usize,
}

#[derive(Debug)]
struct World {
    plan: Plan,
    now: Instant,
    dice: Rng,
    net: Net,
    bus: Bus,
    machines: Vec<Machine>,
    clients: Vec<Client>,
    faults: VecDeque<(Instant, Fault)>,
    ledger: Ledger,
    healed: bool,
    /// The jobs that ever had a process.
    ran: BTreeSet<JobId>,
    done: Done,
    /// The last messages.
    last: VecDeque<(Instant, Arrival)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Turn {
    Fault,
    Heal,
    Net(u64),
    Bus,
    Machine(usize),
    Process(usize),
    Client(usize),
}

/// Runs a plan.
///
/// # Errors
///
/// A promise is broken; the words say which.
pub fn run(plan: &Plan) -> Result<Done, String> {
    let mut world = World::new(plan);
    while !world.is_over()? {
        world.step().map_err(|why| format!("at {}: {why}{}", world.since(), world.memory()))?;
    }
    world.check_outcomes()?;
    world.done.jobs = world.ledger.accepted.len();
    Ok(world.done)
}

impl World {
    fn new(plan: &Plan) -> Self {
        let mut dice = Rng::with_seed(plan.seed ^ 0x5eed);
        let machines = (0..plan.slots.len())
            .map(|number| Machine::new(plan, number, BEGINNING, &mut dice))
            .collect::<Vec<_>>();
        let mut clients = Vec::new();
        for orders in &plan.producers {
            let party = machines.len() + clients.len();
            clients.push(Client::producer(party, BEGINNING, orders.clone()));
        }
        for _ in 0..plan.observers {
            clients.push(Client::observer(machines.len() + clients.len(), BEGINNING));
        }
        Self {
            now: BEGINNING,
            net: Net::new(dice.fork()),
            bus: Bus::new(plan.config.clone(), plan.slow_disk, dice.fork()),
            machines,
            clients,
            faults: plan.faults.clone().into(),
            ledger: Ledger::default(),
            healed: false,
            ran: BTreeSet::new(),
            done: Done::default(),
            last: VecDeque::new(),
            plan: plan.clone(),
            dice,
        }
    }

    fn since(&self) -> String {
        format!("{:?}", self.now - BEGINNING)
    }

    fn memory(&self) -> String {
        let line = |(at, arrival): &(Instant, Arrival)| {
            format!("\n{:.3} {arrival:?}", (*at - BEGINNING).as_secs_f64())
        };
        self.last.iter().map(line).collect()
    }

    /// Whether everything is done that ever will be.
    fn is_over(&self) -> Result<bool, String> {
        if !self.healed {
            return Ok(false);
        }
        let open = self.open();
        if open.is_none() {
            return Ok(true);
        }
        let late = self.now > self.plan.heals + HEALED_WITHIN || self.done.steps > MOST_STEPS;
        ensure(!late, || format!("at {}, all is well, and {open:?}", self.since()))?;
        Ok(false)
    }

    /// What is still to be done, in words.
    fn open(&self) -> Option<String> {
        let waits = self.clients.iter().find(|it| !it.is_done() || it.away.is_some());
        if let Some(client) = waits {
            return Some(format!("party {} is not done", client.line.party));
        }
        for client in &self.clients {
            let all: Box<dyn Iterator<Item = &JobId>> = if client.sees_all() {
                Box::new(self.ledger.accepted.iter())
            } else {
                Box::new(client.owns.iter())
            };
            let unheard = |job: &&JobId| !client.heard.contains_key(job);
            if let Some(job) = all.into_iter().find(unheard) {
                let fate = self.bus.exchange.as_ref().map(|it| it.fate(*job));
                let party = client.line.party;
                return Some(format!("party {party} has not heard of {job}: {fate:?}"));
            }
        }
        None
    }

    fn step(&mut self) -> Verdict {
        let Some((at, turn)) = self.next() else { return Err("nothing ever happens".to_owned()) };
        self.now = self.now.max(at);
        self.done.steps += 1;
        self.take(turn)?;
        match turn {
            Turn::Process(_) | Turn::Machine(_) => self.check_overlap(),
            _ => Ok(()),
        }
    }

    /// What comes next; what comes at the same time comes in any order.
    fn next(&mut self) -> Option<(Instant, Turn)> {
        let now = self.now;
        let mut turns: Vec<(Instant, Turn)> = Vec::new();
        turns.extend(self.faults.front().map(|(at, _)| (*at, Turn::Fault)));
        turns.extend((!self.healed).then_some((self.plan.heals, Turn::Heal)));
        turns.extend(self.net.next(awake(&self.machines)).map(|(at, id)| (at, Turn::Net(id))));
        turns.extend(self.bus.next().map(|at| (at, Turn::Bus)));
        for (number, it) in self.machines.iter().enumerate() {
            turns.extend(it.next(now).map(|at| (at, Turn::Machine(number))));
            turns.extend(it.processes.next(it.awake).map(|at| (at, Turn::Process(number))));
        }
        for (number, it) in self.clients.iter().enumerate() {
            turns.extend(it.next().map(|at| (at, Turn::Client(number))));
        }
        let first = turns.iter().map(|(at, _)| (*at).max(now)).min()?;
        turns.retain(|(at, _)| *at <= first);
        let chosen = self.dice.usize(..turns.len());
        turns.get(chosen).map(|(_, turn)| (first, *turn))
    }

    fn take(&mut self, turn: Turn) -> Verdict {
        let (now, up) = (self.now, self.bus.exchange.is_some());
        let Self { net, dice, ledger, .. } = self;
        match turn {
            Turn::Fault => {
                let fault = self.faults.pop_front();
                fault.map_or(Ok(()), |(_, fault)| self.fault(fault))
            }
            Turn::Heal => self.heal(),
            Turn::Net(connection) => self.arrive(connection),
            Turn::Bus => self.bus.wake(now, net, ledger),
            Turn::Machine(number) if self.machines[number].away.is_some() => {
                self.machines[number] = Machine::new(&self.plan, number, now, dice);
                Ok(())
            }
            Turn::Machine(number) => self.machines[number].wake(now, net, up, dice),
            Turn::Process(number) => {
                let awake = self.machines[number].awake;
                let started = self.machines[number].processes.change(now, awake);
                started.map_or(Ok(()), |process| self.check_start(number, &process))
            }
            Turn::Client(number) => self.clients[number].wake(now, net, up, dice),
        }
    }

    fn arrive(&mut self, connection: u64) -> Verdict {
        let Self { net, dice, ledger, bus, machines, clients, now, .. } = self;
        let now = *now;
        let arrival = net.take(connection, awake(machines));
        self.last.extend(arrival.iter().map(|arrival| (now, arrival.clone())));
        if self.last.len() > REMEMBERED {
            self.last.pop_front();
        }
        match arrival {
            Some(Arrival::ToBus(from, text)) => bus.hear(now, from, &text, net, ledger),
            Some(Arrival::BusLost(id, in_order)) => bus.lost(now, id, in_order, net, ledger),
            Some(Arrival::ToParty(party, _, text)) if party < machines.len() => {
                machines[party].hear(now, net, &text)
            }
            Some(Arrival::ToParty(party, _, text)) => {
                clients[party - machines.len()].hear(now, net, &text)
            }
            Some(Arrival::PartyLost(party, id)) => {
                let count = machines.len();
                let line = match machines.get_mut(party) {
                    Some(machine) => &mut machine.line,
                    None => &mut clients[party - count].line,
                };
                line.lost(now, id, dice);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn fault(&mut self, fault: Fault) -> Verdict {
        let now = self.now;
        match fault {
            Fault::Cut(party) => self.net.cut(now, party),
            Fault::Slow(time) => self.net.slow(now + time),
            Fault::KillBus(time) if self.bus.exchange.is_some() => {
                self.bus.die(now, &mut self.net, now + time);
            }
            Fault::DiskFails(time) => self.bus.disk.fail(now + time),
            Fault::KillScheduler(number, time) => self.kill_scheduler(number, time),
            Fault::Freeze(number, time) => {
                let it = &mut self.machines[number];
                it.awake = it.awake.max(now + time);
            }
            Fault::Leave(number, time) if self.machines[number].awake <= now => {
                let (it, net) = (&mut self.machines[number], &mut self.net);
                it.leave(now, time);
                return it.wake(now, net, self.bus.exchange.is_some(), &mut self.dice);
            }
            Fault::KillProducer(number, time) => {
                let it = &mut self.clients[number];
                self.net.party_dies(now, it.line.party);
                it.die(now + time);
            }
            Fault::Cancel(number) if self.clients[number].away.is_none() => {
                self.clients[number].cancel_one(now, &mut self.net, &mut self.dice);
            }
            Fault::Steer(verb, target) => self.steer(verb, target),
            Fault::KillBus(_) | Fault::Leave(..) | Fault::Cancel(_) => {}
        }
        Ok(())
    }

    fn kill_scheduler(&mut self, number: usize, time: Duration) {
        let now = self.now;
        self.net.party_dies(now, number);
        let mut fresh = Machine::new(&self.plan, number, now, &mut self.dice);
        fresh.away = Some(now + time);
        self.machines[number] = fresh;
    }

    fn steer(&mut self, verb: &'static str, target: Option<usize>) {
        let name = target.map(|number| format!("g{number}"));
        if let Some(observer) = self.clients.last_mut() {
            observer.steer(self.now, &mut self.net, verb, name.as_deref());
        }
    }

    /// From now on everything is well.
    fn heal(&mut self) -> Verdict {
        self.healed = true;
        self.faults.clear();
        self.bus.disk.heal();
        self.bus.comes_back = self.bus.comes_back.min(self.now);
        for it in &mut self.machines {
            it.awake = it.awake.min(self.now);
            it.away = it.away.map(|at| at.min(self.now));
        }
        self.steer("resume", None);
        (0..self.machines.len()).for_each(|number| self.steer("resume", Some(number)));
        Ok(())
    }

    /// What has expired does not start: not after it was told, and not after its
    /// scheduler has heard it, or has not heard from the bus for a lease.
    fn check_start(&mut self, number: usize, process: &Process) -> Verdict {
        let job = process.task.job;
        self.ran.insert(job);
        let excused = process.stopping || self.machines[number].is_waking(self.now);
        if excused {
            return Ok(());
        }
        let expired = self.ledger.outcomes.get(&job).filter(|(_, state)| state == "expired");
        ensure(expired.is_none(), || format!("{job} starts after {expired:?}"))?;
        let ends = self.bus.exchange.as_ref().and_then(|it| it.starts_before(job));
        let late = ends.is_some_and(|ends| self.now > ends + self.plan.config.lease);
        ensure(!late, || format!("{job} starts, and was to start before {ends:?}"))
    }

    /// What is told as timed out has run.
    fn check_outcomes(&self) -> Verdict {
        let timed_out = self.ledger.outcomes.iter().filter(|(_, (_, state))| state == "timed_out");
        let never = timed_out.map(|(job, _)| job).find(|job| !self.ran.contains(job));
        ensure(never.is_none(), || format!("{never:?} has timed out, and never ran"))
    }

    /// A job has one process at most, but for those that are being stopped and
    /// those of a scheduler that was frozen.
    fn check_overlap(&mut self) -> Verdict {
        let mut alive: BTreeMap<JobId, Vec<(usize, bool)>> = BTreeMap::new();
        for (number, machine) in self.machines.iter().enumerate() {
            for it in machine.processes.all.iter().filter(|it| it.alive) {
                let excused =
                    it.stopping || machine.awake > self.now || machine.is_waking(self.now);
                alive.entry(it.task.job).or_default().push((number, excused));
            }
        }
        for (job, all) in alive {
            let plain = all.iter().filter(|(_, excused)| !excused).count();
            let most = if self.plan.prompt { all.len() } else { plain };
            ensure(most <= 1, || format!("{job} runs twice: {all:?}"))?;
            self.done.overlaps += usize::from(all.len() > 1);
        }
        Ok(())
    }
}

fn awake(machines: &[Machine]) -> impl Fn(usize) -> Instant {
    let awake: Vec<Instant> = machines.iter().map(|it| it.awake).collect();
    move |party| awake.get(party).copied().unwrap_or(Instant::ZERO)
}
