//! What is measured, and the rounds in which it is.

use std::collections::BTreeMap;

use crate::trouble::{Result, Trouble};

/// A row of the table: several contenders that do the same work.
pub(crate) struct Row {
    /// By which it is asked for.
    pub(crate) key: String,
    /// The work, in words.
    pub(crate) what: String,
    pub(crate) metrics: Vec<Metric>,
    /// Rounds for each that is asked for: more where the machine changes from
    /// one second to the next.
    pub(crate) slices: usize,
    pub(crate) contenders: Vec<Contender>,
}

/// One of the figures that a contender yields.
#[derive(Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
}

/// What is wanted of ours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Target {
    /// At least this part of the limit.
    OfLimit(f64),
    /// At most so many times the limit.
    TimesLimit(f64),
    /// More than every peer.
    Ahead,
    /// At most this.
    AtMost(f64),
    /// Nothing; it is told.
    None,
}

/// A figure for each metric; `None`: not known.
pub(crate) type Figures = Vec<Option<f64>>;

type Measure = Box<dyn FnMut(&Terms) -> Result<Figures>>;

/// Who does the work.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Does it once.
    pub(crate) measure: Measure,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Ours,
    Limit,
    Peer,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) rounds: usize,
    /// Less of everything: to see whether it works, not how fast.
    pub(crate) quick: bool,
}

impl Terms {
    /// The first, or the second where it is to be quick.
    pub(crate) const fn pick<T: Copy>(&self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }
}

/// A row with its figures.
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// By contender and round; nothing where it failed.
    figures: Vec<BTreeMap<usize, Figures>>,
    /// By contender: what kept it from being measured.
    pub(crate) troubles: Vec<Option<Trouble>>,
}

impl Contender {
    pub(crate) fn new(
        role: Role,
        name: impl Into<String>,
        measure: impl FnMut(&Terms) -> Result<Figures> + 'static,
    ) -> Self {
        Self { name: name.into(), role, measure: Box::new(measure) }
    }
}

impl Row {
    /// Measures everybody, one after the other in every round, each round
    /// beginning with another. Who cannot be measured is left out from then on.
    pub(crate) fn run(mut self, terms: &Terms, mut progress: impl FnMut(&str)) -> Measured {
        let count = self.contenders.len();
        let mut figures = vec![BTreeMap::new(); count];
        let mut troubles: Vec<Option<Trouble>> = (0..count).map(|_| None).collect();
        for round in 0..terms.rounds * self.slices {
            for turn in 0..count {
                let index = (round + turn) % count;
                if troubles[index].is_some() {
                    continue;
                }
                let contender = &mut self.contenders[index];
                progress(&format!("{}, round {}: {}", self.key, round + 1, contender.name));
                match (contender.measure)(terms) {
                    Ok(values) => drop(figures[index].insert(round, values)),
                    Err(trouble) => troubles[index] = Some(trouble),
                }
            }
        }
        Measured { row: self, figures, troubles }
    }
}

impl Measured {
    /// The figures of a contender, in order of the rounds.
    pub(crate) fn values(&self, contender: usize, metric: usize) -> Vec<f64> {
        self.figures[contender].values().filter_map(|values| values[metric]).collect()
    }

    /// One contender's figures as parts of another's, round by round: what the
    /// machine does to both in one round cancels out.
    pub(crate) fn ratios(&self, contender: usize, other: usize, metric: usize) -> Vec<f64> {
        let other = &self.figures[other];
        let ratio = |(round, values): (&usize, &Figures)| {
            Some(values[metric]? / other.get(round)?[metric]?)
        };
        self.figures[contender].iter().filter_map(ratio).collect()
    }

    /// Who the others are compared with: the limit, or where there is none, ours.
    pub(crate) fn base(&self) -> Option<usize> {
        self.with_role(Role::Limit).chain(self.with_role(Role::Ours)).next()
    }

    pub(crate) fn with_role(&self, role: Role) -> impl Iterator<Item = usize> {
        let contenders = self.row.contenders.iter().enumerate();
        contenders.filter(move |(_, it)| it.role == role).map(|(index, _)| index)
    }

    /// Whether ours does what is wanted, and by which ratio; `None`: it is not
    /// known, or nothing is wanted.
    pub(crate) fn verdict(&self, metric: usize) -> Option<(f64, bool)> {
        let ours = self.with_role(Role::Ours).next()?;
        let of_limit = || {
            let limit = self.with_role(Role::Limit).next()?;
            median(self.ratios(ours, limit, metric))
        };
        let verdict = match self.row.metrics[metric].target {
            Target::OfLimit(least) => of_limit().map(|ratio| (ratio, ratio >= least)),
            Target::TimesLimit(most) => of_limit().map(|ratio| (ratio, ratio <= most)),
            Target::AtMost(most) => {
                median(self.values(ours, metric)).map(|value| (value / most, value <= most))
            }
            Target::Ahead => {
                let peers = self.with_role(Role::Peer);
                let ratios = peers.filter_map(|peer| median(self.ratios(ours, peer, metric)));
                let least = ratios.reduce(f64::min);
                least.map(|ratio| (ratio, ratio > 1.0))
            }
            Target::None => None,
        };
        // What was not measured in every round is not met, whatever the others say.
        verdict.map(|(ratio, met)| (ratio, met && self.troubles[ours].is_none()))
    }
}

/// So many of something, in words.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// The middle one; of an even number the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// The least and the greatest.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().reduce(f64::min)?;
    Some((least, values.iter().copied().reduce(f64::max)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: Target) -> Row {
        let metric = Metric { what: "x", unit: "/s", target };
        let mut ours = [9.0, 20.0, 8.0].into_iter();
        let mut limit = [10.0, 10.0, 10.0].into_iter();
        Row {
            key: "k".to_owned(),
            what: "w".to_owned(),
            metrics: vec![metric],
            slices: 1,
            contenders: vec![
                Contender::new(Role::Ours, "ours", move |_| Ok(vec![ours.next()])),
                Contender::new(Role::Limit, "limit", move |_| Ok(vec![limit.next()])),
                Contender::new(Role::Peer, "peer", |_| Err(Trouble::missing("p", "q"))),
            ],
        }
    }

    fn measure(target: Target) -> Measured {
        row(target).run(&Terms { rounds: 3, quick: true }, |_| {})
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let measured = measure(Target::OfLimit(0.9));
        assert_eq!(measured.ratios(0, 1, 0), [0.9, 2.0, 0.8]);
        assert_eq!(measured.verdict(0), Some((0.9, true)));
        assert_eq!(measure(Target::OfLimit(0.91)).verdict(0), Some((0.9, false)));
        assert_eq!(measure(Target::TimesLimit(0.8)).verdict(0), Some((0.9, false)));
        assert!(measured.troubles[2].is_some());
    }

    #[test]
    fn nobody_is_ahead_of_peers_that_are_not_there() {
        assert_eq!(measure(Target::Ahead).verdict(0), None);
    }

    #[test]
    fn what_failed_once_is_not_met() {
        let mut failing = row(Target::OfLimit(0.5));
        let mut rounds = 0..2;
        failing.contenders[0].measure = Box::new(move |_| match rounds.next() {
            Some(_) => Ok(vec![Some(9.0)]),
            None => Err(Trouble::wrong("lost")),
        });
        let measured = failing.run(&Terms { rounds: 3, quick: true }, |_| {});
        assert_eq!(measured.verdict(0), Some((0.9, false)));
    }

    #[test]
    fn the_median_of_two_lies_between() {
        assert_eq!(median(vec![3.0, 1.0]), Some(2.0));
        assert_eq!(median(vec![3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(vec![]), None);
    }
}
