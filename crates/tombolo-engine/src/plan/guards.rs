//! DataFusion's rules as Tombolo uses them, kept from plans that they give wrong rows of: for tests that compare with DataFusion.

pub use super::in_list::InListRule;
pub use super::session::{logical_rules, physical_rules};
