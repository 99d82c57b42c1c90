use datafusion::common::DataFusionError;

/// Whether a plan could not be made because DataFusion's estimate of a filter went wrong.
///
/// It follows the least and the greatest values of columns through a filter, and a comparison of a time with a day can make that
/// range wider than it was; the share of rows that is left is then held to be above one, which is an error.
pub(crate) fn is_misjudged(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Internal(message) if message.contains("Selectivity is out of limit"))
}

/// Whether DataFusion's own last check found that rows would not come in the order, or in the streams, that an operator wants.
///
/// The rules that leave needless sorts out see an order that others lose again, as that of the constants of a window. Over one stream
/// there is nothing to be merged in order.
pub fn is_out_of_order(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(message)
        if message.contains("does not satisfy order requirements")
            || message.contains("does not satisfy distribution requirements"))
}
