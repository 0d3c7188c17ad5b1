//! What must hold for any stream: a stored detector goes on where it stopped, streams without change rarely alarm, streams
//! with one alarm soon.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use refit_stats::sequential::{Adwin, Ddm, PageHinkley};

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

/// 0 or 1, 1 with this probability.
fn coin(rng: &mut ChaCha8Rng, probability: f64) -> f64 {
    f64::from(u8::from(uniform(rng) < probability))
}

#[test]
fn a_stored_detector_goes_on_where_it_stopped() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let stream: Vec<f64> = (0..3_000).map(|row| coin(&mut rng, if row % 1_000 < 500 { 0.1 } else { 0.6 })).collect();
    let (mut page, mut ddm, mut adwin) = (PageHinkley::new(0.005, 10.0, 30), Ddm::new(30, 3.0), Adwin::new(0.002));
    let (mut page_kept, mut ddm_kept, mut adwin_kept) = (page, ddm, adwin.clone());
    let mut alarms = [0; 3];
    for (row, value) in stream.iter().enumerate() {
        if row % 97 == 0 {
            page_kept = serde_json::from_str(&serde_json::to_string(&page_kept).unwrap()).unwrap();
            ddm_kept = serde_json::from_str(&serde_json::to_string(&ddm_kept).unwrap()).unwrap();
            adwin_kept = serde_json::from_str(&serde_json::to_string(&adwin_kept).unwrap()).unwrap();
        }
        let whole = [page.add(*value), ddm.add(*value == 1.0), adwin.add(*value)];
        let kept = [page_kept.add(*value), ddm_kept.add(*value == 1.0), adwin_kept.add(*value)];
        assert_eq!(whole, kept, "row {row}");
        for (count, is_alarm) in alarms.iter_mut().zip(whole) {
            *count += u32::from(is_alarm);
        }
    }
    assert!(alarms.iter().all(|it| 1 <= *it), "each detector saw the changes: {alarms:?}");
}

#[test]
fn adwin_alarms_on_streams_without_change_at_most_at_the_stated_rate() {
    // 400 streams of 1,000 values, several shapes. At delta 0.05, 20 of them may alarm; the bound is known to be loose.
    let delta = 0.05;
    let mut alarmed = 0;
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut adwin = Adwin::new(delta);
        let is_alarm = (0..1_000).any(|_| {
            let value = match seed % 4 {
                0 => coin(&mut rng, 0.1),
                1 => coin(&mut rng, 0.5),
                2 => uniform(&mut rng),
                _ => uniform(&mut rng).powi(4),
            };
            adwin.add(value)
        });
        alarmed += u32::from(is_alarm);
    }
    assert!(f64::from(alarmed) <= 400.0 * delta, "{alarmed} of 400 streams alarmed");
}

#[test]
fn adwin_finds_a_change_soon_and_forgets_what_was_before() {
    // Median delay after 1,000 rows at an error rate of 0.2, delta 0.002.
    for (rate, most) in [(0.3, 700), (0.4, 250), (0.6, 130)] {
        let mut delays: Vec<usize> = (0..50)
            .map(|seed| {
                let mut rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
                let mut adwin = Adwin::new(0.002);
                for _ in 0..1_000 {
                    adwin.add(coin(&mut rng, 0.2));
                }
                (0..2_000).find(|_| adwin.add(coin(&mut rng, rate))).unwrap_or(2_000)
            })
            .collect();
        delays.sort_unstable();
        assert!(delays[25] <= most, "0.2 to {rate}: median delay {}, {} at most", delays[25], delays[49]);
    }
    let mut adwin = Adwin::new(0.002);
    for _ in 0..2_000 {
        adwin.add(0.9);
    }
    let is_alarm = (0..2_000).any(|_| adwin.add(0.1));
    assert!(!is_alarm, "fewer errors are no alarm");
    assert!(adwin.mean().unwrap() < 0.12 && adwin.width() < 2_400, "but the window forgets the bad time");
}

#[test]
fn what_is_not_finite_is_left_out() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (mut page, mut adwin) = (PageHinkley::new(0.005, 1.0, 1), Adwin::new(0.002));
        let (before_page, before_adwin) = (page, adwin.clone());
        assert!(!page.add(value) && !adwin.add(value));
        assert_eq!((page, adwin), (before_page, before_adwin));
    }
}
