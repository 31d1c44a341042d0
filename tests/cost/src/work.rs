//! What is counted: something that is done to inputs which were made before.

use std::fmt;

/// Work on inputs that are made ready first, so that making them is not counted.
pub trait Work {
    /// Makes so many inputs ready.
    fn prepare(&mut self, inputs: usize);

    /// Does the work once for each of them.
    fn run(&mut self);
}

struct Prepared<T, M, R> {
    make: M,
    each: R,
    ready: Vec<T>,
}

/// A function as [`Work`]: `make` is not counted, `each` is.
pub fn work<T: 'static>(
    make: impl FnMut() -> T + 'static,
    each: impl FnMut(T) + 'static,
) -> Box<dyn Work> {
    Box::new(Prepared {
        make,
        each,
        ready: Vec::new(),
    })
}

/// Makes one input ready and has `run` do the work, so many times.
///
/// So a request finds the allocator as one finds it in a server: with what the one before has just freed.
pub fn one_by_one(work: &mut dyn Work, inputs: usize, mut run: impl FnMut(&mut dyn Work)) {
    for _ in 0..inputs {
        work.prepare(1);
        run(work);
    }
}

/// Callgrind counts what happens in here.
#[inline(never)]
pub fn counted_by_callgrind(work: &mut dyn Work) {
    work.run();
}

impl<T, M: FnMut() -> T, R: FnMut(T)> Work for Prepared<T, M, R> {
    fn prepare(&mut self, inputs: usize) {
        let Self { make, ready, .. } = self;
        ready.clear();
        ready.extend(std::iter::repeat_with(make).take(inputs));
    }

    fn run(&mut self) {
        self.ready.drain(..).for_each(&mut self.each);
    }
}

impl fmt::Debug for dyn Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work")
    }
}
