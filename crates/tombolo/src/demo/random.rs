/// SplitMix64 (Steele, Lea and Flood 2014): a few lines that give the same numbers everywhere and for ever, which is all
/// that a demo asks of chance.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound`, without it.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is far below anything that a demo shows.
        self.next() % bound.max(1)
    }

    /// A number from 0 to `bound`, without it, in which small ones come more often: as buyers do.
    pub(super) fn skewed_below(&mut self, bound: u64) -> u64 {
        let (first, second) = (self.below(bound), self.below(bound));
        first * second / bound.max(1)
    }

    /// Whether something happens that happens in so many of a thousand cases.
    pub(super) fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    /// One of a list that is not empty.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
