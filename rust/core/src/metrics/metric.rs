//! The metrics by name.

/// Names of the metrics, in the order of [`Metric`].
pub const METRIC_NAMES: [&str; 15] = [
    "precision",
    "recall",
    "map",
    "ndcg",
    "mrr",
    "arhr",
    "hit_rate",
    "mean_hits",
    "roc_auc",
    "precision_recall_min_den",
    "map_total",
    "map_cutoff",
    "ndcg_graded",
    "novelty",
    "average_popularity",
];

/// A metric that every list has a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// `precision`
    Precision,
    /// `recall`
    Recall,
    /// `map`
    Map,
    /// `ndcg`
    Ndcg,
    /// `mrr`
    Mrr,
    /// `arhr`
    Arhr,
    /// `hit_rate`
    HitRate,
    /// `mean_hits`
    MeanHits,
    /// `roc_auc`
    RocAuc,
    /// `precision_recall_min_den`
    PrecisionRecallMinDen,
    /// `map_total`
    MapTotal,
    /// `map_cutoff`
    MapCutoff,
    /// `ndcg_graded`
    NdcgGraded,
    /// `novelty`
    Novelty,
    /// `average_popularity`
    AveragePopularity,
}

impl Metric {
    /// All of them, in the order of [`METRIC_NAMES`].
    pub const ALL: [Self; 15] = [
        Self::Precision,
        Self::Recall,
        Self::Map,
        Self::Ndcg,
        Self::Mrr,
        Self::Arhr,
        Self::HitRate,
        Self::MeanHits,
        Self::RocAuc,
        Self::PrecisionRecallMinDen,
        Self::MapTotal,
        Self::MapCutoff,
        Self::NdcgGraded,
        Self::Novelty,
        Self::AveragePopularity,
    ];

    /// The metric of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let at = METRIC_NAMES.iter().position(|&n| n == name)?;
        Some(Self::ALL[at])
    }

    /// Whether it looks at what was popular rather than at the test items.
    #[must_use]
    pub fn needs_popularity(self) -> bool {
        matches!(self, Self::Novelty | Self::AveragePopularity)
    }
}
