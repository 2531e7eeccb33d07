//! Values laid out as bytes, so that no two lists of values share their bytes. The module page of `audit` has the table.

/// Bytes under construction.
#[derive(Default)]
pub(super) struct Layout(Vec<u8>);

impl Layout {
    /// Begins with the text that keeps this use apart from every other.
    pub(super) fn of(label: &str) -> Self {
        let mut layout = Self::default();
        layout.text(label);
        layout
    }

    pub(super) fn number(&mut self, number: u64) {
        self.raw(&number.to_be_bytes());
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.raw(&number.to_be_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Bytes of any length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Bytes of a length that everybody knows.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn maybe<T>(&mut self, value: Option<T>, lay: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.raw(&[0]),
            Some(value) => {
                self.raw(&[1]);
                lay(self, value);
            }
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
