//! Where randomness comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keylodge_gate::Entropy;
use sha2::{Digest, Sha256};

/// The system's.
pub(super) fn of_the_system() -> Entropy {
    Arc::new(system_random)
}

/// The same for the same seed, start after start: for tests alone, since whoever knows the seed knows every key.
pub(super) fn of_seed(seed: u64) -> Entropy {
    let throws = AtomicU64::new(0);
    Arc::new(move |bytes: &mut [u8]| {
        for block in bytes.chunks_mut(32) {
            let throw = throws.fetch_add(1, Ordering::Relaxed);
            let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(throw.to_be_bytes()).finalize();
            block.copy_from_slice(&digest[..block.len()]);
        }
    })
}

/// The one place where the program throws dice.
#[expect(clippy::disallowed_methods, reason = "this is the entropy that everything else is given")]
fn system_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives randomness, or nothing secret can be made");
}
