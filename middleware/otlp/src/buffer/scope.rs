use std::sync::Arc;

use opentelemetry::{InstrumentationScope, KeyValue};

use crate::encode::scope_len;

/// The scope of a span that goes into a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// Of one span among others: blocks share a copy.
    Borrowed(&'a InstrumentationScope),
    /// Whoever it is from has it for all its spans: a block knows it again by where it stands.
    Shared(&'a Arc<InstrumentationScope>),
}

/// Scopes seen lately, so that blocks share them.
#[derive(Default)]
pub(super) struct KnownScopes {
    scopes: Vec<Arc<InstrumentationScope>>,
    bytes: usize,
}

// === impl Scope ===

impl<'a> Scope<'a> {
    pub(super) fn get(self) -> &'a InstrumentationScope {
        match self {
            Self::Borrowed(scope) => scope,
            Self::Shared(scope) => scope,
        }
    }

    pub(super) fn share(self, known: &mut KnownScopes) -> Arc<InstrumentationScope> {
        match self {
            Self::Borrowed(scope) => known.share(scope),
            Self::Shared(scope) => Arc::clone(scope),
        }
    }
}

// === impl KnownScopes ===

impl KnownScopes {
    /// `scope`, shared with the blocks before.
    pub(super) fn share(&mut self, scope: &InstrumentationScope) -> Arc<InstrumentationScope> {
        if let Some(known) = self.scopes.iter().find(|known| same_scope(known, scope)) {
            return Arc::clone(known);
        }
        let scope = Arc::new(scope.clone());
        if self.scopes.len() >= MAX_SCOPES || self.bytes >= MAX_KNOWN_BYTES {
            *self = Self::default();
        }
        self.bytes += scope_bytes(&scope);
        if self.bytes < MAX_KNOWN_BYTES {
            self.scopes.push(Arc::clone(&scope));
        }
        scope
    }
}

/// What a scope takes in memory, roughly and not less.
pub(super) fn scope_bytes(scope: &InstrumentationScope) -> usize {
    size_of::<InstrumentationScope>()
        + scope.attributes().count() * size_of::<KeyValue>()
        + 2 * scope_len(scope)
}

/// Whether spans of the two belong together, without allocating for the usual case.
///
/// The order of attributes does not matter; the API's own comparison sorts them each time.
pub(super) fn same_scope(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    if std::ptr::eq(one, other) {
        return true;
    }
    one.name() == other.name()
        && one.version() == other.version()
        && one.schema_url() == other.schema_url()
        && (one.attributes().eq(other.attributes()) || one == other)
}

/// Scopes of one block, and of those kept for blocks to come.
pub(super) const MAX_SCOPES: usize = 64;

/// What scopes may take that are kept for blocks to come.
const MAX_KNOWN_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_the_same_by_everything_but_the_order_of_attributes() {
        let scope = |attributes: Vec<KeyValue>| {
            InstrumentationScope::builder("a")
                .with_attributes(attributes)
                .build()
        };
        let (a, b) = (KeyValue::new("a", 1), KeyValue::new("b", 2));
        assert!(same_scope(
            &scope(vec![a.clone(), b.clone()]),
            &scope(vec![b.clone(), a.clone()])
        ));
        assert!(!same_scope(&scope(vec![a.clone()]), &scope(vec![b])));
        assert!(!same_scope(&scope(vec![a]), &scope(vec![])));
        assert!(!same_scope(
            &scope(vec![]),
            &InstrumentationScope::builder("b").build()
        ));
        assert!(!same_scope(
            &scope(vec![]),
            &InstrumentationScope::builder("a").with_version("1").build()
        ));
        assert!(!same_scope(
            &scope(vec![]),
            &InstrumentationScope::builder("a")
                .with_schema_url("1")
                .build()
        ));
    }

    #[test]
    fn known_scopes_are_shared_and_bounded() {
        let mut known = KnownScopes::default();
        let scope = InstrumentationScope::builder("a").build();
        assert!(Arc::ptr_eq(&known.share(&scope), &known.share(&scope)));
        for index in 0..1000 {
            known.share(&InstrumentationScope::builder(format!("{index}")).build());
            assert!(known.scopes.len() <= MAX_SCOPES);
        }
        known.share(&InstrumentationScope::builder("x".repeat(MAX_KNOWN_BYTES)).build());
        assert!(
            known
                .scopes
                .iter()
                .map(|scope| scope_bytes(scope))
                .sum::<usize>()
                <= MAX_KNOWN_BYTES
        );
    }
}
