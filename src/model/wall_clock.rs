//! The wall clock of a time zone: when it first reaches a time, and how far it has got. Pure.
//!
//! Clocks are put forward and back, so a time can be missing or come twice. Both functions here
//! never decrease while their argument grows; everything that a calendar promises rests on that.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The first instant at which the clock shows `wall` or has passed it: the earlier one where the
/// time comes twice, the end of the gap where it never comes. `None` beyond chrono's calendar.
pub fn first_instant(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => {
            // No zone is a whole day away from UTC, and the longest gaps (Pacific/Apia, 2011) last
            // a day, between -10:00 and +14:00.
            let day = TimeDelta::days(1);
            let before = wall.checked_sub_signed(day)?.and_utc();
            let after = wall.checked_add_signed(day)?.and_utc();
            first_second(before, after, |at| shown(at, zone) >= wall)
        }
    }
}

/// The latest time that the clock has shown up to `instant`. While the clock repeats times after
/// it was put back, that is the last nanosecond before it was.
///
/// Expects an instant that is at least a day away from the ends of chrono's calendar.
pub fn furthest(instant: DateTime<Utc>, zone: Tz) -> Option<NaiveDateTime> {
    let now = shown(instant, zone);
    match zone.from_local_datetime(&now) {
        MappedLocalTime::Ambiguous(first, again) if again.to_utc() == instant => {
            let offset = |at: &DateTime<Tz>| at.offset().fix();
            let put_back = first_second(first.to_utc(), instant, |at| {
                offset(&at.with_timezone(&zone)) == offset(&again)
            })?;
            let end = put_back.naive_utc().checked_add_offset(offset(&first))?;
            end.checked_sub_signed(TimeDelta::nanoseconds(1))
        }
        MappedLocalTime::Single(_) | MappedLocalTime::Ambiguous(..) | MappedLocalTime::None => {
            Some(now)
        }
    }
}

/// What the clock shows at an instant.
pub fn shown(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// The first whole second after `before`, at the latest `until`, from which on something holds.
/// Clocks are put forward and back at whole seconds.
fn first_second(
    before: DateTime<Utc>,
    until: DateTime<Utc>,
    holds: impl Fn(DateTime<Utc>) -> bool,
) -> Option<DateTime<Utc>> {
    let (mut low, mut high) = (before.timestamp(), until.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(DateTime::from_timestamp(middle, 0)?) {
            high = middle;
        } else {
            low = middle;
        }
    }
    DateTime::from_timestamp(high, 0)
}
