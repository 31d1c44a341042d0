use std::sync::atomic::AtomicUsize;

use super::*;

/// A clock that stands still until it is set.
#[derive(Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn limiter(&self, limit: Limit) -> Limiter {
        let time = Arc::clone(&self.0);
        Limiter::with_clock(limit, move || {
            Duration::from_nanos(time.load(Ordering::Relaxed))
        })
    }

    fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// How many of as many new traces are admitted.
fn admitted(limiter: &Limiter, first: u128, traces: u128) -> usize {
    (first..first + traces)
        .filter(|id| limiter.admits(TraceId::from(*id)))
        .count()
}

#[test]
fn a_burst_and_then_the_rate() {
    for (limit, burst, a_second) in [
        (Limit::per_second(10), 10, 10),
        (Limit::per_second(10).with_burst(3), 3, 3),
        (Limit::per_second(2).with_burst(50), 50, 2),
        (Limit::per_second(3), 3, 2), // 333333334 ns each: the third is a nanosecond late
        (Limit::per_second(0).with_burst(9), 0, 0),
    ] {
        let time = Time::default();
        let limiter = time.limiter(limit);
        assert_eq!(admitted(&limiter, 1, 200), burst, "{limit}");
        time.pass(Duration::from_secs(1));
        assert_eq!(admitted(&limiter, 1_000, 200), a_second, "{limit}");
        time.pass(Duration::from_secs(1_000));
        assert_eq!(admitted(&limiter, 2_000, 200), burst, "{limit}");
    }
}

#[test]
fn a_token_drips_in_at_its_time_and_not_before() {
    let time = Time::default();
    let limiter = time.limiter(Limit::per_second(4).with_burst(1));
    assert_eq!(admitted(&limiter, 1, 3), 1);
    time.pass(Duration::from_nanos(249_999_999));
    assert_eq!(admitted(&limiter, 10, 3), 0);
    time.pass(Duration::from_nanos(1));
    assert_eq!(admitted(&limiter, 20, 3), 1);
}

#[test]
fn the_extremes_neither_overflow_nor_block() {
    let time = Time::default();
    time.0.store(u64::MAX, Ordering::Relaxed);
    for limit in [
        Limit::per_second(1).with_burst(u32::MAX),
        Limit::per_second(u32::MAX).with_burst(u32::MAX),
    ] {
        assert!(time.limiter(limit).admits(TraceId::from(1)), "{limit}");
    }
}

#[test]
fn a_change_of_the_limit_counts_at_once_and_gives_no_new_burst() {
    let time = Time::default();
    let limiter = time.limiter(Limit::per_second(1).with_burst(100));
    assert_eq!(admitted(&limiter, 1, 200), 100);
    // The old bucket would be full in a hundred seconds, this one is in one.
    limiter.set_limit(Limit::per_second(1_000));
    assert_eq!(limiter.limit(), Limit::per_second(1_000));
    assert_eq!(admitted(&limiter, 1_000, 2_000), 0);
    time.pass(Duration::from_millis(500));
    assert_eq!(admitted(&limiter, 5_000, 2_000), 500);
}

#[test]
fn a_trace_is_answered_once_whatever_the_bucket_says_by_then() {
    let time = Time::default();
    let limiter = time.limiter(Limit::per_second(1));
    let (first, second) = (TraceId::from(1), TraceId::from(2));
    assert!(limiter.admits(first) && !limiter.admits(second));
    // A token is there again.
    time.pass(Duration::from_secs(2));
    assert!(!limiter.admits(second), "refused stays refused");
    assert!(limiter.admits(first));
    assert!(limiter.admits(TraceId::from(3)), "nobody took the token");
    time.pass(Duration::from_secs(60));
    assert!(limiter.admits(second), "a minute later it is a new one");
}

#[test]
fn one_trace_does_not_get_around_the_limit() {
    let time = Time::default();
    let limiter = time.limiter(Limit::per_second(2));
    let of_one = |count: usize| {
        let answers = (0..count).map(|_| limiter.admits(TraceId::from(7)));
        answers.filter(|admitted| *admitted).count()
    };
    let room = Limiter::REQUESTS as usize;
    assert_eq!(of_one(1_000), 2 * room);
    // It was refused at last, and stays so.
    time.pass(Duration::from_secs(10));
    assert_eq!(of_one(1_000), 0);
}

#[test]
fn a_flood_of_refused_traces_does_not_drive_out_the_admitted() {
    let time = Time::default();
    let limiter = time.limiter(Limit::per_second(5));
    assert_eq!(admitted(&limiter, 1, 5), 5);
    assert_eq!(admitted(&limiter, 1_000, 100_000), 0);
    let again = admitted(&limiter, 1, 5);
    // Some of the five may have shared a place: two at odds of one in a hundred, more hardly ever.
    assert!(again >= 3, "{again}");
}

#[test]
fn threads_together_get_no_more_than_the_burst() {
    for _ in 0..20 {
        let limiter = Time::default().limiter(Limit::per_second(100));
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (limiter, sum) = (&limiter, &sum);
                scope.spawn(move || {
                    let admitted = admitted(limiter, 1 + thread * 1_000, 200);
                    sum.fetch_add(admitted, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(sum.into_inner(), 100);
    }
}

#[test]
fn the_system_clock_goes_on() {
    let limiter = Limiter::new(Limit::per_second(1_000_000).with_burst(1));
    assert!(limiter.admits(TraceId::from(1)));
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let mut id = 2;
    while !limiter.admits(TraceId::from(id)) {
        assert!(std::time::Instant::now() < deadline);
        id += 1;
    }
}
