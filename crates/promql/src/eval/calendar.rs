//! Dates in UTC from seconds since the Unix epoch (proleptic Gregorian calendar, no leap seconds).

use std::fmt::Write;

const DAY: i64 = 86_400;

/// The days from the earliest date that Prometheus knows, the 1st of March of the year
/// -292,277,022,400, to the Unix epoch. Seconds that lie before it come out in the far future.
const EPOCH: u64 = 106_751_991_073_400;

/// A moment taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 1 to 366.
    pub day_of_year: i64,
    /// 0 is Sunday.
    pub day_of_week: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

impl Date {
    pub fn of(seconds: i64) -> Self {
        let known = (seconds as u64).wrapping_add(EPOCH * DAY as u64);
        let days = (known / DAY as u64) as i64 - EPOCH as i64;
        let time = (known % DAY as u64) as i64;
        // Years start in March here, so that the leap day is the last of its year; eras of 400
        // years have 146,097 days.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let before: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
        Self {
            year,
            month,
            day,
            day_of_year: before + day,
            day_of_week: (days + 4).rem_euclid(7),
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    pub fn days_in_month(&self) -> i64 {
        days_in_month(self.year, self.month)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2024-02-29T12:00:00Z`, from milliseconds.
pub(crate) fn rfc3339(milliseconds: i64) -> String {
    // Cut towards zero, as Prometheus does before it prints.
    let date = Date::of(milliseconds / 1000);
    let mut text = String::new();
    let Date { year, month, day, hour, minute, second, .. } = date;
    write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
        .expect("writing to a string does not fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399_000), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(-1000), "1969-12-31T23:59:59Z");
        let date = Date::of(1_136_073_600);
        assert_eq!((date.day_of_week, date.day_of_year, date.days_in_month()), (0, 1, 31));
        let leap = Date::of(1_230_681_600);
        assert_eq!((leap.day_of_year, leap.month, leap.day), (366, 12, 31));
    }

    #[test]
    fn days_count_up() {
        let mut previous = Date::of(-800 * 365 * DAY);
        for day in -800 * 365 + 1..800 * 365 {
            let date = Date::of(day * DAY);
            let next = (date.day == previous.day + 1 && date.month == previous.month)
                || (date.day == 1 && previous.day == previous.days_in_month());
            assert!(next, "{previous:?} {date:?}");
            previous = date;
        }
    }

    #[test]
    fn before_the_beginning_of_time_is_after_its_end() {
        let last = Date::of(i64::MAX);
        assert_eq!((last.year, last.month, last.day), (292_277_026_596, 12, 4));
        assert_eq!((last.hour, last.minute, last.second), (15, 30, 7));
        assert_eq!(Date::of(i64::MIN), Date { second: 8, ..last });
        assert!(Date::of(-9_000_000_000_000_000_000).year < 0);
    }
}
