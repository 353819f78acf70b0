//! Real processes. One behaviour a file.

mod callbacks;
mod capture_keeps_the_end;
mod descriptors_run_out;
mod dropped;
mod environment;
mod exit_is_told;
mod exit_races_stop;
mod full_disk;
mod group_ends_with_its_leader;
mod guard;
mod halted_child_is_terminated;
mod listeners;
mod many_at_once;
mod nothing_is_inherited;
mod nothing_is_left_behind;
mod places;
mod refused_signal;
mod scheduler_outcomes;
mod scheduler_slots;
mod spawn_failures;
mod spool_is_ones_own;
mod start_once_wait_any_time;
mod stop_while_starting;
mod term_then_kill;
mod time_limit;
mod wait_error_is_unknown;
