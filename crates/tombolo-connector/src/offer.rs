use serde::Serialize;

/// What a connector says to one part of an operator it is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "reason")]
pub enum Answer {
    /// The source does it and the result is proved equal; the engine drops it from its own plan.
    Exact,
    /// The source uses it to read less; the engine does it again.
    Inexact,
    /// The source does not do it, for this reason (a phrase in lower case without a full stop).
    Refused(String),
}

impl Answer {
    /// Refuses with a reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The answer to one offered operator: one [`Answer`] for each of its parts, in order.
///
/// The parts are: for a filter its conjuncts; for a projection its expressions; for an aggregate its group expressions
/// followed by its aggregates; for a sort its keys; for a join its key pairs followed by its residual condition, if any;
/// for every other operator a single part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanOffer {
    /// One answer for each part.
    pub parts: Vec<Answer>,
}

impl ScanOffer {
    /// Answers every one of `parts` parts alike.
    pub fn all(answer: Answer, parts: usize) -> Self {
        Self { parts: vec![answer; parts] }
    }

    /// True when every part is exact.
    pub fn is_exact(&self) -> bool {
        self.parts.iter().all(|part| *part == Answer::Exact)
    }

    /// The reasons of all refusals, without repetition.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = Vec::new();
        for reason in self.parts.iter().filter_map(Answer::reason) {
            if !reasons.iter().any(|known| known == reason) {
                reasons.push(reason.to_owned());
            }
        }
        reasons
    }
}
