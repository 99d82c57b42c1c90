use datafusion::common::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};

use super::{each_operator, single_values};

/// Whether a plan could not be made because DataFusion's estimate of a filter went wrong.
///
/// It follows the least and the greatest values of columns through a filter, and a comparison of a time with a day can make that
/// range wider than it was; the share of rows that is left is then held to be above one, which is an error.
pub(crate) fn is_misjudged(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Internal(message) if message.contains("Selectivity is out of limit"))
}

/// Whether DataFusion's own last check found that rows would not come in the order, or in the streams, that an operator wants.
///
/// The rules that leave needless sorts out see an order that others lose again, as that of the constants of a window, or sort by what
/// a filter says is equal. [`careful_order`] is planned with then.
pub fn is_out_of_order(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(message)
        if message.contains("does not satisfy order requirements")
            || message.contains("does not satisfy distribution requirements"))
}

/// The session with one stream, in which nothing is merged in order, and without what filters say of orders.
pub fn careful_order(session: &SessionState) -> SessionState {
    let rules = session.physical_optimizers().iter().cloned();
    let rules = std::iter::once(each_operator(single_values::OF_ALL)).chain(rules).collect();
    let mut session =
        SessionStateBuilder::new_from_existing(session.clone()).with_physical_optimizer_rules(rules).build();
    let options = session.config_mut().options_mut();
    // Sources have streams of their own, which are then brought together before they are sorted.
    (options.execution.target_partitions, options.optimizer.repartition_sorts) = (1, false);
    session
}
