use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Something for each of many names, for a bounded number of them.
///
/// When there is no room for one more, those are forgotten that are as good as new. If there are
/// none, all who come share one place.
#[derive(Debug)]
pub(crate) struct Keyed<V> {
    entries: HashMap<Box<str>, V>,
    /// Who finds no room.
    others: V,
    max: usize,
    /// Looking for something to forget takes a look at everything, so that it is not done often.
    swept: Option<Instant>,
}

// === impl Keyed ===

impl<V: Clone> Keyed<V> {
    /// `fresh` is what somebody has who comes for the first time.
    pub(crate) fn new(max: usize, fresh: V) -> Self {
        Self {
            entries: HashMap::new(),
            others: fresh,
            max,
            swept: None,
        }
    }

    /// What `key` has. `is_fresh` says of a value that it can be forgotten.
    pub(crate) fn entry(
        &mut self,
        key: &str,
        now: Instant,
        fresh: V,
        is_fresh: impl Fn(&V) -> bool,
    ) -> &mut V {
        if self.entries.len() >= self.max
            && !self.entries.contains_key(key)
            && self.swept.is_none_or(|at| now >= at + SWEEP_INTERVAL)
        {
            self.swept = Some(now);
            self.entries.retain(|_, value| !is_fresh(value));
        }
        if self.entries.len() >= self.max && !self.entries.contains_key(key) {
            return &mut self.others;
        }
        self.entries.entry(key.into()).or_insert(fresh)
    }
}

const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn forgets_what_is_as_good_as_new_and_shares_the_rest() {
        let mut keyed = Keyed::new(2, 0);
        let mut add = |key: &str| {
            let value = keyed.entry(key, Instant::now(), 0, |value| *value < 2);
            *value += 1;
            *value
        };
        assert_eq!((add("a"), add("a"), add("b")), (1, 2, 1));
        // `b` is forgotten for `c`.
        assert_eq!((add("c"), add("c"), add("a")), (1, 2, 3));
        // Nobody is, and nobody is looked for a second time.
        assert_eq!((add("d"), add("e"), add("b")), (1, 2, 3));
        assert_eq!((add("a"), add("c")), (4, 3));
        tokio::time::advance(SWEEP_INTERVAL).await;
        assert_eq!((add("f"), add("a"), add("c")), (4, 5, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_look_at_everything_for_each_who_finds_no_room() {
        let mut keyed = Keyed::new(2, 0);
        let looks = std::cell::Cell::new(0);
        let mut add = |key: &str| {
            let look = |_: &i32| {
                looks.set(looks.get() + 1);
                false
            };
            *keyed.entry(key, Instant::now(), 0, look)
        };
        for key in ["a", "b", "c", "d", "e", "a"] {
            add(key);
        }
        assert_eq!(looks.get(), 2);
        tokio::time::advance(SWEEP_INTERVAL).await;
        add("f");
        assert_eq!(looks.get(), 4);
    }
}
