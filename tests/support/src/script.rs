//! Which answer the next request gets.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::Gate;

/// Answers drawn at random, by weight, from a seed.
///
/// The same seed and the same weights draw the same answers in the same order. Which request gets
/// which depends on the order in which they come, so that a test with one request at a time is
/// replayed exactly, and one with many at a time meets the same mix.
///
/// ```
/// use towline_test_support::Mix;
///
/// let mix = || Mix::new(42).weight(3, "often").weight(1, "seldom").weight(0, "never");
/// let draw = |mut mix: Mix<&'static str>| (0..100).map(|_| *mix.draw()).collect::<Vec<_>>();
///
/// let drawn = draw(mix());
/// assert_eq!(draw(mix()), drawn);
/// let seldom = drawn.iter().filter(|answer| **answer == "seldom").count();
/// assert!((10..40).contains(&seldom));
/// assert!(!drawn.contains(&"never"));
/// ```
#[derive(Clone, Debug)]
pub struct Mix<A> {
    random: fastrand::Rng,
    answers: Vec<(u32, A)>,
}

/// What comes before an answer.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    Delay(Duration),
    Gate(Gate),
}

/// Says what the answer to a request is.
pub(crate) struct Script<R, A> {
    part: Mutex<Part<R, A>>,
}

enum Part<R, A> {
    Function(Function<R, A>),
    /// The last one stays.
    Sequence(VecDeque<A>),
    Mix(Mix<A>),
}

type Function<R, A> = Arc<dyn Fn(&R) -> A + Send + Sync>;

// === impl Mix ===

impl<A> Mix<A> {
    /// A mix of nothing yet. Print the seed when a test fails, and the test can be run again.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            answers: vec![],
        }
    }

    /// Adds an answer that is drawn `weight` times out of the sum of all weights, on average. With
    /// 0 it is never drawn.
    #[must_use]
    pub fn weight(mut self, weight: u32, answer: A) -> Self {
        self.answers.push((weight, answer));
        self
    }

    /// Draws the next answer.
    ///
    /// # Panics
    ///
    /// If no answer has a weight.
    #[track_caller]
    pub fn draw(&mut self) -> &A {
        let sum: u64 = self
            .answers
            .iter()
            .map(|(weight, _)| u64::from(*weight))
            .sum();
        assert!(sum > 0, "a mix needs an answer with a weight over 0");
        let mut point = self.random.u64(0..sum);
        for (weight, answer) in &self.answers {
            match point.checked_sub(u64::from(*weight)) {
                None => return answer,
                Some(rest) => point = rest,
            }
        }
        unreachable!("the point is less than the sum of the weights")
    }
}

// === impl Wait ===

impl Wait {
    /// Waits until it is over; says when somebody waits at a gate now.
    pub(crate) async fn over(&self, at_gate: impl FnOnce()) {
        match self {
            Self::Delay(delay) => tokio::time::sleep(*delay).await,
            Self::Gate(gate) => {
                let mut passed = pin!(gate.passed());
                if poll_fn(|cx| Poll::Ready(passed.as_mut().poll(cx).is_pending())).await {
                    at_gate();
                    passed.await;
                }
            }
        }
    }
}

// === impl Script ===

impl<R, A: Clone> Script<R, A> {
    pub(crate) fn function(function: impl Fn(&R) -> A + Send + Sync + 'static) -> Self {
        Self::new(Part::Function(Arc::new(function)))
    }

    pub(crate) fn always(answer: A) -> Self {
        Self::new(Part::Sequence(VecDeque::from([answer])))
    }

    #[track_caller]
    pub(crate) fn sequence(answers: impl IntoIterator<Item = A>) -> Self {
        let answers = VecDeque::from_iter(answers);
        assert!(!answers.is_empty(), "a sequence needs an answer");
        Self::new(Part::Sequence(answers))
    }

    #[track_caller]
    pub(crate) fn mix(mix: Mix<A>) -> Self {
        // Fails here rather than on the collector's thread.
        let _ = mix.clone().draw();
        Self::new(Part::Mix(mix))
    }

    fn new(part: Part<R, A>) -> Self {
        Self {
            part: Mutex::new(part),
        }
    }

    /// Puts another in its place.
    pub(crate) fn replace(&self, other: Self) {
        let part = other
            .part
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = part;
    }

    pub(crate) fn choose(&self, request: &R) -> A {
        let function = {
            let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *part {
                Part::Function(function) => Arc::clone(function),
                Part::Mix(mix) => return mix.draw().clone(),
                Part::Sequence(answers) => {
                    let answer = answers.pop_front().expect("the last one stays");
                    if answers.is_empty() {
                        answers.push_back(answer.clone());
                    }
                    return answer;
                }
            }
        };
        // Not under the lock: it may ask the one that it answers for.
        function(request)
    }
}

impl<R, A> fmt::Debug for Script<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_sequence_stays() {
        let script = Script::<(), _>::sequence([1, 2, 3]);
        let answers: Vec<_> = (0..5).map(|_| script.choose(&())).collect();
        assert_eq!(answers, [1, 2, 3, 3, 3]);
    }

    #[test]
    fn a_function_may_change_the_script_that_it_is() {
        let script = Arc::new(Script::always(0));
        let itself = Arc::clone(&script);
        script.replace(Script::function(move |request: &i32| {
            itself.replace(Script::always(-1));
            request * 2
        }));
        assert_eq!((script.choose(&4), script.choose(&4)), (8, -1));
    }

    #[test]
    fn a_mix_keeps_its_weights() {
        let mut mix = Mix::new(7).weight(1, 'a').weight(0, 'b').weight(9, 'c');
        let drawn: Vec<char> = (0..10_000).map(|_| *mix.draw()).collect();
        let count = |answer| drawn.iter().filter(|drawn| **drawn == answer).count();
        assert_eq!(count('b'), 0);
        assert!((800..1200).contains(&count('a')), "{}", count('a'));
    }

    #[test]
    #[should_panic(expected = "a mix needs an answer")]
    fn a_mix_of_nothing_is_no_script() {
        let _ = Script::<(), _>::mix(Mix::new(1).weight(0, ()));
    }

    #[test]
    #[should_panic(expected = "a sequence needs an answer")]
    fn an_empty_sequence_is_no_script() {
        let _ = Script::<(), ()>::sequence([]);
    }
}
