//! Placeholder until the programs stand.
fn main() {}
