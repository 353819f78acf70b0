//! The bus as a state machine, and its wire types.

mod exchange;
mod session;
pub mod v1;
pub use exchange::{Exchange, ExchangeConfig, Persist, PersistOp, RestoreError};
pub use session::{Identity, JobReport, Session, SessionEvent};
