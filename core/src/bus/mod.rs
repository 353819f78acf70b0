//! The bus as a state machine, and its wire types.
