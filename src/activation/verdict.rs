//! What a receiver's answer means for the event.

/// What is to be done with an event after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// Try it again.
    Again,
    /// Trying again is no use: give it up, and go on.
    Refused,
    /// The receiver wants no more of any.
    Gone,
}

impl Verdict {
    /// What a status says.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            410 => Self::Gone,
            // A clash, a timeout, too early, too many: of the moment, and not of the event.
            408 | 409 | 425 | 429 => Self::Again,
            400..=499 => Self::Refused,
            // Redirects are not followed: one that is configured by mistake may be mended.
            _ => Self::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_moment_is_tried_again() {
        for status in [200, 204, 299] {
            assert_eq!(Verdict::of(status), Verdict::Taken, "{status}");
        }
        for status in [100, 301, 408, 409, 425, 429, 500, 503, 599] {
            assert_eq!(Verdict::of(status), Verdict::Again, "{status}");
        }
        for status in [400, 401, 403, 404, 422] {
            assert_eq!(Verdict::of(status), Verdict::Refused, "{status}");
        }
        assert_eq!(Verdict::of(410), Verdict::Gone);
    }
}
