use datafusion::common::DataFusionError;

/// Whether a plan could not be made because DataFusion's estimate of a filter went wrong.
///
/// It follows the least and the greatest values of columns through a filter, and a comparison of a time with a day can make that
/// range wider than it was; the share of rows that is left is then held to be above one, which is an error.
pub(crate) fn is_misjudged(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Internal(message) if message.contains("Selectivity is out of limit"))
}
