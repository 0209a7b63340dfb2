//! `strftime` as Python has it on Linux in the C locale, for a local time without a zone.
//!
//! Directives: <https://docs.python.org/3/library/datetime.html#format-codes>; glibc's flags `-`, `_`, `0`, `^`
//! and `#` may stand before each. A directive that is not known stays as it is written.

use crate::{Error, Result};
use serde::Deserialize;

/// A wall-clock time, as the caller's clock and zone have it: this crate reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct LocalTime {
    fields: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Fields {
    year: u16,
    /// 1 to 12.
    month: u8,
    /// 1 to 31.
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl LocalTime {
    /// The time of `month` 1 to 12, `day` 1 to 31, on a 24-hour clock.
    ///
    /// # Errors
    /// `invalid_request` if there is no such day or time in the years 1 to 9999.
    pub fn new(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Result<Self> {
        Fields { year, month, day, hour, minute, second }.try_into()
    }

    /// The time in the words of `format`.
    pub fn strftime(&self, format: &str) -> String {
        let mut text = String::with_capacity(format.len() * 2);
        let mut rest = format;
        while let Some(start) = rest.find('%') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            let flags = rest[1..].bytes().take_while(|byte| b"-_0^#".contains(byte)).count();
            let directive = rest[1 + flags..].chars().next();
            let end = 1 + flags + directive.map_or(0, char::len_utf8);
            match directive.and_then(|letter| self.field(letter)) {
                Some(field) => field.write(&rest[1..1 + flags], &mut text),
                None => text.push_str(&rest[..end]),
            }
            rest = &rest[end..];
        }
        text.push_str(rest);
        text
    }

    fn field(&self, directive: char) -> Option<Field> {
        let Fields { year, month, day, hour, minute, second } = self.fields;
        let month_name = MONTHS[usize::from(month) - 1];
        let weekday = self.weekday();
        let day_of_year = self.day_of_year();
        let hour_12 = u32::from(hour + 11) % 12 + 1;
        let composed = |format: &str| Some(Field::Text(self.strftime(format)));
        Some(match directive {
            'a' => Field::text(&WEEKDAYS[weekday as usize][..3]),
            'A' => Field::text(WEEKDAYS[weekday as usize]),
            'b' | 'h' => Field::text(&month_name[..3]),
            'B' => Field::text(month_name),
            'c' => return composed("%a %b %e %H:%M:%S %Y"),
            'C' => Field::zeros(u32::from(year) / 100, 2),
            'd' => Field::zeros(day, 2),
            'D' | 'x' => return composed("%m/%d/%y"),
            'e' => Field::spaces(day, 2),
            'f' => Field::zeros(0u8, 6),
            'F' => return composed("%Y-%m-%d"),
            'g' => Field::zeros(self.iso_week().0 % 100, 2),
            'G' => Field::zeros(self.iso_week().0, 1),
            'H' => Field::zeros(hour, 2),
            'I' => Field::zeros(hour_12, 2),
            'j' => Field::zeros(day_of_year, 3),
            'k' => Field::spaces(hour, 2),
            'l' => Field::spaces(hour_12, 2),
            'm' => Field::zeros(month, 2),
            'M' => Field::zeros(minute, 2),
            'n' => Field::text("\n"),
            'p' => Field::text(if hour < 12 { "AM" } else { "PM" }),
            'P' => Field::text(if hour < 12 { "am" } else { "pm" }),
            'r' => return composed("%I:%M:%S %p"),
            'R' => return composed("%H:%M"),
            'S' => Field::zeros(second, 2),
            't' => Field::text("\t"),
            'T' | 'X' => return composed("%H:%M:%S"),
            'u' => Field::zeros((weekday + 6) % 7 + 1, 1),
            'U' => Field::zeros((day_of_year + 6 - weekday) / 7, 2),
            'V' => Field::zeros(self.iso_week().1, 2),
            'w' => Field::zeros(weekday, 1),
            'W' => Field::zeros((day_of_year + 6 - (weekday + 6) % 7) / 7, 2),
            'y' => Field::zeros(year % 100, 2),
            'Y' => Field::zeros(year, 1),
            // The time has no zone.
            'z' | 'Z' => Field::text(""),
            '%' => Field::text("%"),
            _ => return None,
        })
    }

    /// 1 to 366.
    fn day_of_year(&self) -> u32 {
        let Fields { year, month, day, .. } = self.fields;
        (1..month).map(|earlier| u32::from(days_in_month(year, earlier))).sum::<u32>() + u32::from(day)
    }

    /// 0 is Sunday.
    fn weekday(&self) -> u32 {
        // 1 January of the year 1 was a Monday.
        let years = u32::from(self.fields.year) - 1;
        (years * 365 + years / 4 - years / 100 + years / 400 + self.day_of_year()) % 7
    }

    /// Year and week of ISO 8601: weeks begin on Monday and belong to the year that has their Thursday.
    fn iso_week(&self) -> (u32, u32) {
        let year = u32::from(self.fields.year);
        let days_in_year = |year| if is_leap(year) { 366 } else { 365 };
        let thursday = self.day_of_year() as i32 + 4 - ((self.weekday() as i32 + 6) % 7 + 1);
        if thursday < 1 {
            (year - 1, ((thursday + days_in_year(self.fields.year - 1) - 1) / 7 + 1) as u32)
        } else if thursday > days_in_year(self.fields.year) {
            (year + 1, 1)
        } else {
            (year, ((thursday - 1) / 7 + 1) as u32)
        }
    }
}

impl TryFrom<Fields> for LocalTime {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields { year, month, day, hour, minute, second } = fields;
        let valid = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !valid {
            return Err(Error::invalid_request(format!(
                "there is no time {year}-{month}-{day} {hour}:{minute}:{second}"
            )));
        }
        Ok(Self { fields })
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What a directive stands for, before its flags.
enum Field {
    Text(String),
    Number { value: u32, width: usize, padding: char },
}

impl Field {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn zeros(value: impl Into<u32>, width: usize) -> Self {
        Self::Number { value: value.into(), width, padding: '0' }
    }

    fn spaces(value: impl Into<u32>, width: usize) -> Self {
        Self::Number { value: value.into(), width, padding: ' ' }
    }

    fn write(self, flags: &str, text: &mut String) {
        match self {
            Self::Text(value) if flags.contains('#') && value == value.to_uppercase() => {
                text.push_str(&value.to_lowercase());
            }
            Self::Text(value) if flags.contains(['^', '#']) => text.push_str(&value.to_uppercase()),
            Self::Text(value) => text.push_str(&value),
            Self::Number { value, width, padding } => {
                let (width, padding) = match flags.chars().rev().find(|flag| "-_0".contains(*flag)) {
                    Some('-') => (0, padding),
                    Some('_') => (width, ' '),
                    Some(_) => (width, '0'),
                    None => (width, padding),
                };
                let digits = value.to_string();
                text.extend(std::iter::repeat_n(padding, width.saturating_sub(digits.len())));
                text.push_str(&digits);
            }
        }
    }
}
