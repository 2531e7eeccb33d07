//! Limits, what is used of them, and when there is room again.
//!
//! The words are those of the Gemini API's rate limits: requests per minute (RPM), input tokens per minute (TPM) and
//! requests per day (RPD), counted per project and model, the day ending at midnight Pacific time. Keylodge counts output
//! tokens, money and calls in flight as well, over a minute, a day or a month, and for a key as for a project.
//!
//! A call is counted twice: at its worst before it goes on ([`Account::reserve`]), with the truth when it has ended
//! ([`Account::settle`]). So no limit is ever passed by what was let through, unless an upstream uses more than was asked
//! of it; then the truth is counted all the same and the next call waits longer.
//!
//! ```
//! use keylodge_rules::Timestamp;
//! use keylodge_rules::quota::{Account, Amounts, Limit, Limits, Metric, Mode, Models, Retry, Room, Window};
//!
//! let rpm = Limit::new(Metric::Requests, Window::Minute, Models::Each, 1, Mode::Enforced).unwrap();
//! let limits = Limits::new(vec![rpm]).unwrap();
//! let mut account = Account::new(false);
//! let (call, now) = (Amounts { requests: 1, ..Amounts::ZERO }, Timestamp::from_micros(0));
//!
//! assert!(matches!(account.room(&limits, "gemini-3-flash", &call, now), Room::Free));
//! let reserved = account.reserve(&limits, "gemini-3-flash", &call, now);
//! account.settle(reserved, &call, now);
//!
//! let Room::Exceeded(exceeded) = account.room(&limits, "gemini-3-flash", &call, now) else { panic!() };
//! assert_eq!(exceeded[0].retry, Retry::After(std::time::Duration::from_secs(61)));
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | [`limit`] | one limit: metric, window, models, value, mode |
//! | [`limits`] | the limits of one holder |
//! | [`amounts`] | what a call uses |
//! | [`calendar`] | days and months as they begin in California |
//! | [`account`] | the counters of one holder: room, reserve, settle |
//! | [`room`] | whether a limit has room, and when it has again |
//! | [`reserved`] | what a call has taken |
//! | [`lease`] | what of a calendar counter is written down before it is spent |
//! | [`price`] | what tokens cost |
//! | [`money`] | dollars as people write them |
//! | [`trial`] | what would have become of a limit |

pub mod account;
pub mod amounts;
pub mod calendar;
mod counter;
mod lane;
pub mod lease;
mod leased;
pub mod limit;
pub mod limits;
pub mod money;
pub mod price;
pub mod reserved;
pub mod room;
mod sliding;
mod times;
pub mod trial;

pub use account::Account;
pub use amounts::Amounts;
pub use calendar::{Calendar, Period};
pub use lease::{CounterKey, Lease};
pub use limit::{Limit, LimitError, Metric, Mode, ModelName, Models, Window};
pub use limits::{Limits, LimitsError};
pub use price::{Price, PriceError, PriceTable, Tokens};
pub use reserved::Reserved;
pub use room::{Exceeded, Retry, Room};
