//! Where time and chance come from: the program gives both, so that a test can hold them still.

use std::sync::Arc;

use keylodge_rules::Timestamp;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Fills bytes with randomness fit for secrets.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// So many random bytes.
pub fn random<const COUNT: usize>(entropy: &Entropy) -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    entropy(&mut bytes);
    bytes
}

/// A short random name for a decision, a request or an answer: letters and digits, 96 bits.
#[must_use]
pub fn random_name(entropy: &Entropy) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bytes: [u8; 20] = random(entropy);
    bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte & 31)])).collect()
}
