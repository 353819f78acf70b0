//! Random lists of operations against the reference model: few, small, and
//! cut down to the shortest that still fails.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sched_core::{Backoff, Duration, ExitStatus, JobSpec, OnEvict, OnExhausted, Policy, Priority};
use sched_tests::sim::faults::Faults;
use sched_tests::sim::harness;
use sched_tests::sim::processes::Script;
use sched_tests::sim::workload::{Op, Plan, Style};
use std::num::{NonZeroU32, NonZeroUsize};

fn secs(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn script() -> impl Strategy<Value = Script> {
    let status = prop_oneof![
        4 => Just(ExitStatus::Code(0)),
        1 => Just(ExitStatus::Code(1)),
        1 => Just(ExitStatus::Unknown),
    ];
    (secs(0..9), status, option::weighted(0.8, secs(0..3)))
        .prop_map(|(run, status, heeds)| Script::runs_for(run).ends_with(status).heeds_term(heeds))
}

fn job() -> impl Strategy<Value = JobSpec<Script>> {
    let limits = (
        option::weighted(0.2, secs(0..9)),
        option::weighted(0.2, secs(0..9)),
        option::weighted(0.2, secs(0..9)),
    );
    let fate = option::of(prop_oneof![Just(OnEvict::Drop), Just(OnEvict::Requeue)]);
    (0..6_i32, script(), limits, fate).prop_map(|(priority, script, limits, on_evict)| JobSpec {
        time_limit: limits.0,
        expiry: limits.1,
        deadline: limits.2,
        on_evict,
        ..JobSpec::new(Priority::new(priority), script)
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => job().prop_map(Op::Submit),
        3 => (0..5_u64).prop_map(Op::Cancel),
        1 => Just(Op::Pause),
        1 => Just(Op::Drain),
        2 => Just(Op::Resume),
        1 => Just(Op::Stop),
        1 => Just(Op::Kill),
        1 => (0..3_u8).prop_map(Op::Stray),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let back_off = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(4) };
    (
        option::weighted(0.9, Just(NonZeroU32::MIN)),
        prop_oneof![Just(OnEvict::Drop), Just(OnEvict::Requeue)],
        option::of(0..3_u32),
        (secs(0..4), option::of(secs(1..4))),
        1..3_u32,
        prop_oneof![Just(OnExhausted::Fail), Just(OnExhausted::Pause(back_off))],
        prop_oneof![Just(0_usize), Just(2), Just(1000)],
    )
        .prop_map(
            move |(delta, on_evict, most, (grace, aging), attempts, on_exhausted, room)| Policy {
                preempt_delta: delta,
                on_evict,
                max_evictions: most,
                grace,
                aging,
                max_attempts: NonZeroU32::MIN.saturating_add(attempts - 1),
                retry: back_off,
                on_exhausted,
                max_pending: room,
                jitter_seed: 0,
            },
        )
}

fn plan() -> impl Strategy<Value = Plan> {
    let faults = prop_oneof![
        2 => Just(Faults::default()),
        1 => Just(Faults { refused: 20, fails_later: 20, exhausted: 50, ..Faults::default() }),
    ];
    (policy(), 1..4_usize, faults, any::<bool>(), vec((secs(0..3), op()), 1..40), 0..4_u64)
        .prop_map(|(policy, slots, faults, by_hand, ops, seed)| Plan {
            seed,
            policy,
            slots: NonZeroUsize::MIN.saturating_add(slots - 1),
            faults,
            style: Style { by_hand, lazy: 0, late: 0, log_lines: 200 },
            grain: Duration::from_secs(1),
            ops,
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_operations_do_what_the_model_does(plan in plan()) {
        harness::run(&plan).map_err(TestCaseError::fail)?;
    }
}
