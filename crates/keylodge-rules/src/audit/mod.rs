//! The audit log: what an entry says, the hash chain that ties entries together, and the signatures over it.
//!
//! Each entry's hash covers the hash before it, so that nothing can be changed, left out, added or moved in the middle
//! without every later hash being another. A signed [`Checkpoint`] holds the end in place, and a checkpoint that somebody
//! kept elsewhere also catches whoever has the signing key.
//!
//! ```
//! use keylodge_rules::Timestamp;
//! use keylodge_rules::audit::{AuditKey, Chain, Checkpoint, Entry, Signed, Verifier};
//!
//! let key = AuditKey::new(&[7; 32]);
//! let entry = Entry { principal: "user:ana@example.com".to_owned(), ..Entry::at(Timestamp::from_micros(1)) };
//! let mut chain = Chain::start();
//! let link = chain.extend(&entry);
//! let end = Signed::by(&key, Checkpoint::of(&chain, Timestamp::from_micros(2), "node-1"));
//!
//! let mut verifier = Verifier::new(None);
//! verifier.entry(link.sequence, &entry, &link.hash).unwrap();
//! let verified = verifier.finish(&end, Some(&key.public_key())).unwrap();
//! assert_eq!(verified.entries, 1);
//! ```
//!
//! # The bytes that are hashed
//!
//! For whoever checks a log with a program of their own. Four kinds of value:
//!
//! | kind | bytes |
//! |---|---|
//! | number | 8 bytes, big-endian; a signed one in two's complement |
//! | text | the number of its bytes, then these bytes in UTF-8 |
//! | maybe | the byte 0 for nothing; the byte 1 and then the value for something |
//! | map | the number of pairs, then for each pair two texts, name and value, ascending by the bytes of the name |
//!
//! An entry's hash is the SHA-256 of, one after the other: text `keylodge audit entry v1`; the 32 bytes of the hash before
//! (32 zero bytes before the first entry); number sequence (the first entry has 1); signed number of microseconds since
//! 1970-01-01 UTC; texts principal, service, method, resource, request id, caller's address, user agent, permission;
//! maybe (number of the project, text with its id); text operation; maybe text why it was denied; map request; maybe number
//! revision.
//!
//! A signature is Ed25519 (RFC 8032) over: text `keylodge statement v1`; text with the kind of statement; text (here any
//! bytes) with the statement.
//!
//! | kind of statement | statement |
//! |---|---|
//! | `audit checkpoint` | number sequence, the 32 bytes of the hash, signed number time, text node |
//! | `revocation receipt` | text key uid, number revision, text node, signed number time, text reason |

mod chain;
mod entry;
mod hex;
mod layout;
mod sign;
mod statement;
mod verify;

pub use chain::{Chain, ChainHash, Link};
pub use entry::Entry;
pub use hex::NotHex;
pub use sign::{AuditKey, BadSignature, NotAPublicKey, PublicKey, Signature};
pub use statement::{Checkpoint, Receipt, Signed, Statement};
pub use verify::{Breach, Broken, Verified, Verifier};
