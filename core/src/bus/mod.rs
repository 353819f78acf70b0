//! The bus as a state machine, and its wire types.

mod exchange;
pub mod v1;
pub use exchange::{Exchange, ExchangeConfig, Persist, PersistOp, RestoreError};
