//! Ranges of scores and of members, as commands say them.

/// A range of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRange {
    /// The least score.
    pub min: f64,
    /// Whether that one is left out.
    pub leaves_min_out: bool,
    /// The greatest score.
    pub max: f64,
    /// Whether that one is left out.
    pub leaves_max_out: bool,
}

impl ScoreRange {
    /// Whether a score is not below the range.
    #[inline]
    pub fn reaches_min(&self, score: f64) -> bool {
        if self.leaves_min_out { score > self.min } else { score >= self.min }
    }

    /// Whether a score is not above the range.
    #[inline]
    pub fn keeps_to_max(&self, score: f64) -> bool {
        if self.leaves_max_out { score < self.max } else { score <= self.max }
    }
}

/// An end of a range of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before all members.
    Lowest,
    /// After all members.
    Highest,
    /// At this member, which is in the range.
    With(&'a [u8]),
    /// At this member, which is not.
    Without(&'a [u8]),
}

/// A range of members with equal scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexRange<'a> {
    /// Where it begins.
    pub min: LexBound<'a>,
    /// Where it ends.
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    /// Whether a member is not below the range.
    pub fn reaches_min(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Lowest => true,
            LexBound::Highest => false,
            LexBound::With(min) => member >= min,
            LexBound::Without(min) => member > min,
        }
    }

    /// Whether a member is not above the range.
    pub fn keeps_to_max(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::With(max) => member <= max,
            LexBound::Without(max) => member < max,
        }
    }
}
