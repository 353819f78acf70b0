//! Policies by name, with single rules changed.

use std::num::NonZeroU32;
use std::str::FromStr;

use sched_core::Policy;
use thiserror::Error;

use crate::cli::{Seconds, fate, policy};

/// A policy, and what it is called.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// As it was asked for: `durable:aging=off`.
    pub name: String,
    /// What that means.
    pub policy: Policy,
}

/// Policies to be compared, in the order in which they were asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidates(pub Vec<Rules>);

/// Why there is no such policy.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RulesError {
    /// It does not begin with a preset.
    #[error("{0}")]
    Preset(String),
    /// A rule that there is not.
    #[error(
        "there is no rule {0:?}: preempt-delta, on-evict, max-evictions, grace and aging can be changed"
    )]
    Rule(String),
    /// A value that makes no sense.
    #[error("{rule}={value}: {why}")]
    Value {
        /// The rule.
        rule: String,
        /// What it was to be.
        value: String,
        /// What is wrong with that.
        why: String,
    },
}

impl Default for Candidates {
    fn default() -> Self {
        let preset = |name: &str, policy| Rules { name: name.to_owned(), policy };
        Self(vec![preset("seed", Policy::seed()), preset("durable", Policy::durable())])
    }
}

impl FromStr for Candidates {
    type Err = RulesError;

    /// Reads policies with commas between them.
    fn from_str(text: &str) -> Result<Self, RulesError> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Rules {
    type Err = RulesError;

    /// Reads a preset, and rules that differ: `seed:grace=1:aging=60`.
    fn from_str(text: &str) -> Result<Self, RulesError> {
        let mut parts = text.split(':');
        let preset = policy(parts.next().unwrap_or_default()).map_err(RulesError::Preset)?;
        let policy = parts.try_fold(preset, change)?;
        Ok(Self { name: text.to_owned(), policy })
    }
}

fn change(policy: Policy, text: &str) -> Result<Policy, RulesError> {
    let (rule, value) = text.split_once('=').ok_or_else(|| RulesError::Rule(text.to_owned()))?;
    let wrong = |why: String| RulesError::Value { rule: rule.into(), value: value.into(), why };
    let count = || value.parse::<u32>().map_err(|_| wrong("is no whole number".into()));
    let seconds =
        || value.parse::<Seconds>().map(|Seconds(it)| it).map_err(|why| wrong(why.to_string()));
    let off = value == "off";
    Ok(match rule {
        "preempt-delta" if off => Policy { preempt_delta: None, ..policy },
        "preempt-delta" => match NonZeroU32::new(count()?) {
            None => return Err(wrong("is no whole number from 1".into())),
            delta => Policy { preempt_delta: delta, ..policy },
        },
        "on-evict" => Policy { on_evict: fate(value).map_err(wrong)?, ..policy },
        "max-evictions" if off => Policy { max_evictions: None, ..policy },
        "max-evictions" => Policy { max_evictions: Some(count()?), ..policy },
        "grace" => Policy { grace: seconds()?, ..policy },
        "aging" if off => Policy { aging: None, ..policy },
        "aging" => match seconds()? {
            level if level.is_zero() => {
                return Err(wrong("is no time at all; off turns it off".into()));
            }
            level => Policy { aging: Some(level), ..policy },
        },
        _ => return Err(RulesError::Rule(rule.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sched_core::OnEvict;

    use super::*;

    #[test]
    fn presets_and_single_rules() {
        let text = "seed,durable:aging=off:grace=0.5,seed:on-evict=requeue";
        let Candidates(all) = text.parse().unwrap();
        let names: Vec<_> = all.iter().map(|rules| &*rules.name).collect();
        assert_eq!(names, ["seed", "durable:aging=off:grace=0.5", "seed:on-evict=requeue"]);
        let policies: Vec<_> = all.into_iter().map(|rules| rules.policy).collect();
        let half = Duration::from_millis(500);
        assert_eq!(
            policies,
            [
                Policy::seed(),
                Policy { aging: None, grace: half, ..Policy::durable() },
                Policy { on_evict: OnEvict::Requeue, ..Policy::seed() },
            ]
        );
        let Rules { policy, .. } = "seed:preempt-delta=off:max-evictions=2".parse().unwrap();
        assert_eq!((policy.preempt_delta, policy.max_evictions), (None, Some(2)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, why) in [
            ("", "neither seed nor durable"),
            ("seed,", "neither seed nor durable"),
            ("seed:colour=red", "no rule \"colour\""),
            ("seed:grace", "no rule \"grace\""),
            ("seed:grace=-1", "too small"),
            ("seed:preempt-delta=0", "from 1"),
            ("seed:aging=0", "off turns it off"),
            ("seed:on-evict=eat", "neither drop nor requeue"),
            ("seed:max-evictions=many", "no whole number"),
        ] {
            let told = text.parse::<Candidates>().unwrap_err().to_string();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
